import { Annotations, Aws, Lazy, Stack, Token, aws_ec2 as ec2, aws_iam as iam, aws_kms as kms, aws_logs as logs } from 'aws-cdk-lib';
import { Construct, DependencyGroup, IDependable } from 'constructs';
import { NotebookEndpoint, NotebookEndpointPermission } from './notebook-endpoint';
import { InlinePeer } from './private/inline-peer';
import { Problems } from './private/problems';
import { s3PrefixListId, unknownPrefixListProblem } from './private/s3-prefix-lists';

const HTTPS = ec2.Port.tcp(443);

/**
 * Properties of `IsolatedNotebookNetwork`.
 */
export interface IsolatedNotebookNetworkProps {
  /**
   * The VPC that notebooks are placed in.
   *
   * It needs DNS support and DNS hostnames, or the private names of the interface endpoints do not resolve.
   *
   * @default - a new VPC that has isolated subnets only, flow logs, and a default security group without rules
   */
  readonly vpc?: ec2.IVpc;

  /**
   * The subnets of `vpc` for notebooks and interface endpoints; public subnets and subnets with egress are refused.
   *
   * @default - all isolated subnets of the VPC
   */
  readonly vpcSubnets?: ec2.SubnetSelection;

  /**
   * Addresses of the new VPC. Not together with `vpc`.
   *
   * @default ec2.IpAddresses.cidr('10.0.0.0/16')
   */
  readonly ipAddresses?: ec2.IIpAddresses;

  /**
   * Availability Zones of the new VPC; each costs one network interface for every interface endpoint. Not together with `vpc`.
   *
   * @default 2
   */
  readonly maxAzs?: number;

  /**
   * Services that notebooks reach through interface endpoints.
   *
   * Where the VPC has such an endpoint already: `NotebookEndpoint.SAGEMAKER_API.existing(endpoint)`.
   *
   * @default [NotebookEndpoint.SAGEMAKER_API] - without which no notebook can stop itself
   */
  readonly interfaceEndpoints?: NotebookEndpoint[];

  /**
   * Id of the prefix list of S3 in the stack's region, the only address range that notebooks may reach beside the endpoints.
   *
   * @default - from the library's table of regions; where the stack's region is not known at synthesis, a CloudFormation mapping chooses
   */
  readonly s3PrefixListId?: string;

  /**
   * IAM path under which the roles of all notebooks live.
   *
   * Endpoint policies let in exactly the roles on this path, so they stay the same for one notebook and for a thousand.
   * Whoever may create roles on this path, and run them inside the VPC, may use the endpoints.
   *
   * @default '/isolated-notebook/'
   */
  readonly notebookRolePath?: string;

  /**
   * The key of the notebooks' volumes and of the flow logs.
   *
   * @default - a new customer-managed key with rotation; it is retained when the stack is deleted
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * Whether a new VPC writes flow logs to CloudWatch Logs. Without them there is no record of what was tried. Not together with `vpc`.
   *
   * @default true
   */
  readonly flowLogs?: boolean;

  /**
   * How long flow logs are kept.
   *
   * @default logs.RetentionDays.ONE_YEAR
   */
  readonly flowLogRetention?: logs.RetentionDays;

  /**
   * Whether the default security group of a new VPC loses its rules (by a custom resource of the CDK), so that nothing
   * placed there by mistake can talk. Not together with `vpc`.
   *
   * @default true
   */
  readonly restrictDefaultSecurityGroup?: boolean;
}

/**
 * Isolated subnets from which a notebook reaches S3 and the named AWS services, through endpoints, and nothing else.
 *
 * Notebooks get a security group whose egress is HTTPS to the prefix list of S3 and to the interface endpoints, and whose
 * ingress is empty. Each interface endpoint has a security group that only notebooks may enter, and a policy that passes
 * only what `NotebookEndpoint` names, for roles on `notebookRolePath`.
 *
 * @example
 *
 * const network = new IsolatedNotebookNetwork(this, 'Network');
 */
export class IsolatedNotebookNetwork extends Construct implements ec2.IConnectable {
  /** The VPC. */
  public readonly vpc: ec2.IVpc;

  /** The isolated subnets that were selected. */
  public readonly subnets: ec2.ISubnet[];

  /** The group of every notebook: HTTPS to S3 and to the interface endpoints, no ingress. */
  public readonly notebookSecurityGroup: ec2.SecurityGroup;

  /** The group of the interface endpoints made here: HTTPS from notebooks, no egress. */
  public readonly endpointSecurityGroup: ec2.SecurityGroup;

  /** Connections of the notebooks' security group. */
  public readonly connections: ec2.Connections;

  /** The key of the notebooks' volumes and of the flow logs. */
  public readonly encryptionKey: kms.IKey;

  /** IAM path of the notebooks' roles. */
  public readonly notebookRolePath: string;

  private readonly endpoints = new Map<string, ec2.IInterfaceVpcEndpoint>();
  private readonly broughtRoleArns: string[] = [];
  private readonly connectivity = new DependencyGroup();
  private readonly grantedPermissions: NotebookEndpointPermission[] = [];
  private notebookPolicy?: iam.ManagedPolicy;
  private policiesTaken = false;

  constructor(scope: Construct, id: string, props: IsolatedNotebookNetworkProps = {}) {
    validate(scope, id, props);
    super(scope, id);

    this.notebookRolePath = props.notebookRolePath ?? '/isolated-notebook/';
    this.encryptionKey = props.encryptionKey ?? new kms.Key(this, 'Key', {
      description: 'Volumes of isolated notebooks and the flow logs of their network',
      enableKeyRotation: true,
    });

    this.vpc = props.vpc ?? this.createVpc(props);
    this.subnets = this.vpc.selectSubnets(props.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_ISOLATED }).subnets;

    this.endpointSecurityGroup = new ec2.SecurityGroup(this, 'EndpointSecurityGroup', {
      vpc: this.vpc,
      description: 'Interface endpoints: HTTPS from isolated notebooks only',
      allowAllOutbound: false,
      disableInlineRules: false, // even where the app's context says otherwise: see InlinePeer
    });
    this.notebookSecurityGroup = new ec2.SecurityGroup(this, 'NotebookSecurityGroup', {
      vpc: this.vpc,
      description: 'Isolated notebooks: HTTPS to S3 and to interface endpoints only',
      allowAllOutbound: false,
      disableInlineRules: false,
    });
    this.connections = new ec2.Connections({ securityGroups: [this.notebookSecurityGroup] });

    this.notebookSecurityGroup.addEgressRule(InlinePeer.prefixList(props.s3PrefixListId ?? s3PrefixListId(this)), HTTPS, 'S3 through the gateway endpoint');
    this.openBetweenNotebooksAnd(this.endpointSecurityGroup);

    for (const endpoint of props.interfaceEndpoints ?? [NotebookEndpoint.SAGEMAKER_API]) {
      this.addInterfaceEndpoint(endpoint);
    }
  }

  /**
   * Let notebooks reach one more AWS service.
   *
   * @throws when the network has an endpoint of that name, when the endpoint grants permissions after a notebook was
   * placed, and when an existing endpoint is of another service or has no known security group.
   */
  public addInterfaceEndpoint(endpoint: NotebookEndpoint): ec2.IInterfaceVpcEndpoint {
    this.validateEndpoint(endpoint);
    const made = endpoint.existingEndpoint ?? this.createEndpoint(endpoint);
    if (endpoint.existingEndpoint) {
      endpoint.existingEndpoint.connections.securityGroups.forEach(group => this.openBetweenNotebooksAnd(group));
    }
    this.endpoints.set(endpoint.id, made);
    this.connectivity.add(made);
    if (endpoint.grantToNotebooks) {
      this.grantedPermissions.push(...endpoint.permissions);
      this.notebookPolicy ??= new iam.ManagedPolicy(this, 'NotebookPolicy', {
        description: 'What every isolated notebook may do through the interface endpoints of its network',
        path: this.notebookRolePath,
      });
      this.notebookPolicy.addStatements(...endpoint.permissions.map(permission => new iam.PolicyStatement({ ...permission })));
    }
    return made;
  }

  /**
   * The endpoint of a service, or undefined where notebooks have none.
   */
  public interfaceEndpoint(endpoint: NotebookEndpoint): ec2.IInterfaceVpcEndpoint | undefined {
    return this.endpoints.get(endpoint.id);
  }

  /**
   * Let a role that is not on `notebookRolePath` use the endpoints, by its ARN. `IsolatedNotebook` calls this for a role that is given to it.
   *
   * @throws when the role belongs to a stack that depends on this one: give it `path: network.notebookRolePath`, or import it by its ARN.
   */
  public allowRole(role: iam.IRole): void {
    const path = (role.node.defaultChild as iam.CfnRole | undefined)?.path;
    if (path === this.notebookRolePath) {
      return;
    }
    if (iam.Role.isRole(role) && Token.isUnresolved(role.roleArn) && Stack.of(role) !== Stack.of(this)) {
      throw new Error(`${role.node.path}: a role of another stack than ${this.node.path} must be on the path '${this.notebookRolePath}' that its endpoint policies let in, ` +
        `got ${path ?? "'/'"}: create it with 'path: network.notebookRolePath', or pass it as iam.Role.fromRoleArn(...)`);
    }
    if (!this.broughtRoleArns.includes(role.roleArn)) {
      this.broughtRoleArns.push(role.roleArn);
    }
  }

  /**
   * Conditions that narrow a statement of an endpoint policy, whose principal has to be everyone, to the notebooks' roles of this account.
   *
   * Use them in the policy of an endpoint that notebooks share with others.
   */
  public get notebookRoleConditions(): { [operator: string]: any } {
    return {
      StringEquals: { 'aws:PrincipalAccount': Aws.ACCOUNT_ID },
      ArnLike: {
        'aws:PrincipalArn': Lazy.list({
          produce: () => [`arn:${Aws.PARTITION}:iam::${Aws.ACCOUNT_ID}:role${this.notebookRolePath}*`, ...this.broughtRoleArns],
        }),
      },
    };
  }

  /**
   * What must exist before a notebook boots: the interface endpoints, the rules of their groups, the route tables of the subnets.
   *
   * @internal
   */
  public get _connectivity(): IDependable {
    return this.connectivity;
  }

  /**
   * Policies of what every notebook's role is allowed because of the endpoints. From now on no endpoint may add to them.
   *
   * @internal
   */
  public _notebookPolicies(): iam.IManagedPolicy[] {
    this.policiesTaken = true;
    return this.notebookPolicy ? [this.notebookPolicy] : [];
  }

  /**
   * The same permissions for a role that is brought. From now on no endpoint may add to them.
   *
   * @internal
   */
  public _notebookStatements(): iam.PolicyStatement[] {
    this.policiesTaken = true;
    return this.grantedPermissions.map(permission => new iam.PolicyStatement({ ...permission }));
  }

  private createVpc(props: IsolatedNotebookNetworkProps): ec2.IVpc {
    const vpc = new ec2.Vpc(this, 'Vpc', {
      ipAddresses: props.ipAddresses,
      maxAzs: props.maxAzs ?? 2,
      natGateways: 0,
      createInternetGateway: false,
      subnetConfiguration: [{ name: 'Isolated', subnetType: ec2.SubnetType.PRIVATE_ISOLATED }],
      restrictDefaultSecurityGroup: props.restrictDefaultSecurityGroup ?? true,
    });
    if (props.flowLogs ?? true) {
      this.addFlowLogs(vpc, props.flowLogRetention ?? logs.RetentionDays.ONE_YEAR);
    }
    return vpc;
  }

  private addFlowLogs(vpc: ec2.Vpc, retention: logs.RetentionDays): void {
    // CloudWatch Logs names the group in the encryption context; the group's own name is not known before the key exists.
    const keyPolicy = this.encryptionKey.addToResourcePolicy(new iam.PolicyStatement({
      sid: 'FlowLogs',
      principals: [new iam.ServicePrincipal(`logs.${Aws.REGION}.amazonaws.com`)],
      actions: ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey*', 'kms:ReEncrypt*'],
      resources: ['*'],
      conditions: { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': `arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:*` } },
    }), true);
    if (!keyPolicy.statementAdded) {
      Annotations.of(this).addWarningV2('cdk-isolated-notebook:flow-logs-key',
        "The policy of the imported 'encryptionKey' cannot be extended, so the flow logs are encrypted with the key of CloudWatch Logs. " +
        'To use your own, import nothing (let the network make the key), or pass flowLogs: false and add vpc.addFlowLog(...) with a group of your own.');
    }
    const group = new logs.LogGroup(this, 'FlowLogs', {
      encryptionKey: keyPolicy.statementAdded ? this.encryptionKey : undefined,
      retention,
    });
    const role = new iam.Role(this, 'FlowLogsRole', {
      description: 'Writes the flow logs of the network of isolated notebooks',
      assumedBy: new iam.ServicePrincipal('vpc-flow-logs.amazonaws.com'),
      managedPolicies: [new iam.ManagedPolicy(this, 'FlowLogsPolicy', {
        statements: [new iam.PolicyStatement({
          actions: ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
          resources: [group.logGroupArn],
        })],
      })],
    });
    // Left to itself the CDK writes an inline policy; the managed one above says the same.
    vpc.addFlowLog('FlowLog', { destination: ec2.FlowLogDestination.toCloudWatchLogs(group, role.withoutPolicyUpdates()) });
  }

  private createEndpoint(endpoint: NotebookEndpoint): ec2.InterfaceVpcEndpoint {
    const made = new ec2.InterfaceVpcEndpoint(this, `${endpoint.id}Endpoint`, {
      vpc: this.vpc,
      service: endpoint.service,
      // An endpoint takes one subnet of an Availability Zone.
      subnets: { subnets: this.subnets, onePerAz: true },
      securityGroups: [this.endpointSecurityGroup],
      open: false,
      privateDnsEnabled: true,
    });
    for (const permission of endpoint.permissions) {
      made.addToPolicy(new iam.PolicyStatement({ ...permission, principals: [new iam.StarPrincipal()], conditions: this.notebookRoleConditions }));
    }
    made.node.addDependency(this.endpointSecurityGroup, ...this.routeTableAssociations());
    return made;
  }

  /** A subnet is on the VPC's main route table until it is associated with its own. */
  private routeTableAssociations(): Construct[] {
    const parts = this.subnets.flatMap(subnet => subnet.node.findAll());
    return parts.filter(part => ec2.CfnSubnetRouteTableAssociation.isCfnSubnetRouteTableAssociation(part)) as Construct[];
  }

  private openBetweenNotebooksAnd(group: ec2.ISecurityGroup): void {
    this.notebookSecurityGroup.addEgressRule(InlinePeer.securityGroup(group), HTTPS, 'AWS services through interface endpoints');
    group.addIngressRule(this.notebookSecurityGroup, HTTPS, 'Isolated notebooks');
  }

  private validateEndpoint(endpoint: NotebookEndpoint): void {
    const problems = new Problems();
    problems.when(this.endpoints.has(endpoint.id), `'interfaceEndpoints' must name each endpoint once, got ${endpoint.id} twice: remove one of them`);
    problems.when(endpoint.grantToNotebooks && this.policiesTaken,
      `${endpoint.id} grants permissions to every notebook, so it must be added before the first notebook: pass it in 'interfaceEndpoints', or call addInterfaceEndpoint earlier`);
    if (endpoint.existingEndpoint) {
      const existing = endpoint.existingEndpoint;
      const found = (existing.node.defaultChild as ec2.CfnVPCEndpoint | undefined)?.serviceName;
      const stack = Stack.of(this);
      problems.when(found !== undefined && JSON.stringify(stack.resolve(found)) !== JSON.stringify(stack.resolve(endpoint.service.name)),
        `the existing endpoint of ${endpoint.id} must be of the service ${describeService(stack.resolve(endpoint.service.name))}, got ${describeService(stack.resolve(found))}: pass the endpoint of that service`);
      problems.when(existing.connections.securityGroups.length === 0,
        `the existing endpoint of ${endpoint.id} must have a known security group, got none: import it with 'securityGroups', so that it can be opened to the notebooks`);
    }
    problems.throwIfAny(this, '');
  }
}

function describeService(name: any): string {
  return typeof name === 'string' ? name : JSON.stringify(name);
}

function validate(scope: Construct, id: string, props: IsolatedNotebookNetworkProps): void {
  const problems = new Problems();
  const { vpc } = props;
  if (vpc) {
    for (const name of ['ipAddresses', 'maxAzs', 'flowLogs', 'flowLogRetention', 'restrictDefaultSecurityGroup'] as const) {
      problems.when(props[name] !== undefined, `'${name}' must not be given together with 'vpc', which has it already: remove one of them`);
    }
    validateSubnets(problems, vpc, props.vpcSubnets);
    if (vpc instanceof ec2.Vpc) {
      problems.when(!vpc.dnsSupportEnabled || !vpc.dnsHostnamesEnabled,
        "'vpc' must have DNS support and DNS hostnames, got a VPC without: the private names of interface endpoints need both; create it with enableDnsSupport and enableDnsHostnames true");
    }
  }
  const { maxAzs, notebookRolePath: path, s3PrefixListId: list } = props;
  problems.when(maxAzs !== undefined && !Token.isUnresolved(maxAzs) && (!Number.isInteger(maxAzs) || maxAzs < 1),
    `'maxAzs' must be a whole number from 1, got ${maxAzs}: notebooks need at least one subnet`);
  problems.when(path !== undefined && !Token.isUnresolved(path) && !/^\/[A-Za-z0-9_+=,.@-]{6,}(\/[A-Za-z0-9_+=,.@-]+)*\/$/.test(path),
    `'notebookRolePath' must begin and end with a slash and start with a part of 6 or more characters, got '${path}': endpoint policies match on it; use for example '/isolated-notebook/'`);
  problems.when(list !== undefined && !Token.isUnresolved(list) && !/^pl-[0-9a-f]{8,17}$/.test(list),
    `'s3PrefixListId' must be like pl-63a5400a, got '${list}': pass the id, not the name, of the prefix list`);
  if (list === undefined) {
    const problem = unknownPrefixListProblem(Stack.of(scope).region);
    problems.when(problem !== undefined, problem!);
  }
  problems.throwIfAny(scope, id);
}

function validateSubnets(problems: Problems, vpc: ec2.IVpc, selection?: ec2.SubnetSelection): void {
  if (selection === undefined && vpc.isolatedSubnets.length === 0) {
    problems.when(true, `'vpc' must have isolated subnets, got ${vpc.publicSubnets.length} public, ${vpc.privateSubnets.length} with egress and no isolated ones: ` +
      "add a group of subnetType PRIVATE_ISOLATED, or pass 'vpcSubnets'");
    return;
  }
  const { subnets } = vpc.selectSubnets(selection ?? { subnetType: ec2.SubnetType.PRIVATE_ISOLATED });
  problems.when(subnets.length === 0, "'vpcSubnets' must select at least one subnet, got none: check the names and Availability Zones in it");
  const ids = (some: ec2.ISubnet[]) => new Set(some.map(subnet => subnet.subnetId));
  for (const [kind, refused] of [['public', ids(vpc.publicSubnets)], ['with a route to a NAT gateway', ids(vpc.privateSubnets)]] as const) {
    const found = subnets.filter(subnet => refused.has(subnet.subnetId) || (kind === 'public' && subnet instanceof ec2.PublicSubnet));
    problems.when(found.length > 0,
      `'vpcSubnets' must select isolated subnets, got ${kind}: ${found.map(subnet => subnet.node.path).join(', ')}: select { subnetType: ec2.SubnetType.PRIVATE_ISOLATED }`);
  }
}

