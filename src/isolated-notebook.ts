import { Aws, Names, Resource, Size, SizeRoundingBehavior, Stack, Tags, Token, aws_ec2 as ec2, aws_iam as iam, aws_kms as kms, aws_sagemaker as sagemaker } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { IsolatedNotebookNetwork } from './isolated-notebook-network';
import { NotebookInstanceType } from './notebook-instance-type';
import { INotebookLifecycle } from './notebook-lifecycle';
import { NotebookPlatform } from './notebook-platform';
import { SELF_TAG } from './private/permissions';
import { Problems } from './private/problems';

/**
 * Properties of `IsolatedNotebook`.
 */
export interface IsolatedNotebookProps {
  /**
   * The network that the notebook is placed in.
   */
  readonly network: IsolatedNotebookNetwork;

  /**
   * What runs as root when the notebook is created and started, usually an `IdleAutostopLifecycle`.
   *
   * @default - nothing; the notebook runs until somebody stops it
   */
  readonly lifecycle?: INotebookLifecycle;

  /**
   * The role of the notebook. SageMaker must be trusted to assume it.
   *
   * It gets one further managed policy with what the lifecycle needs, and its ARN is added to the network's endpoint policies
   * unless it is on `network.notebookRolePath`. A role that may not be changed needs that policy from you.
   *
   * @default - a new role that may do what the lifecycle needs and nothing else
   */
  readonly role?: iam.IRole;

  /**
   * The type of the instance.
   *
   * @default NotebookInstanceType.T3_MEDIUM
   */
  readonly instanceType?: NotebookInstanceType;

  /**
   * Operating system and JupyterLab. Changing it replaces the notebook: its volume is lost.
   *
   * @default NotebookPlatform.AL2023_V1
   */
  readonly platform?: NotebookPlatform;

  /**
   * Name of the notebook, lower case: ARNs are, and IAM compares them to the letter. A named notebook cannot be replaced in
   * one deployment; changing the name replaces it, and its volume is lost.
   *
   * @default - CloudFormation chooses one
   */
  readonly notebookInstanceName?: string;

  /**
   * Size of the volume at /home/ec2-user/SageMaker, whole GiB from 5 to 16,384. A volume can only grow.
   *
   * @default Size.gibibytes(5)
   */
  readonly volumeSize?: Size;

  /**
   * Key of the volume. Changing it replaces the notebook: its volume is lost.
   *
   * @default - the network's key
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * Whether users are root in their notebook. Then they can read what root can, switch off the idle script, and change its schedule.
   *
   * @default false
   */
  readonly rootAccess?: boolean;

  /**
   * The subnet, one of the network's. Changing it replaces the notebook: its volume is lost.
   *
   * @default - the first of the network's subnets
   */
  readonly subnet?: ec2.ISubnet;

  /**
   * Security groups beside the network's, at most 4. Whatever they open is open: they widen what the notebook can reach.
   *
   * @default - none
   */
  readonly additionalSecurityGroups?: ec2.ISecurityGroup[];

  /**
   * Name of a SageMaker code repository that Jupyter starts in. It must be reachable from the isolated network.
   *
   * @default - none
   */
  readonly defaultCodeRepository?: string;

  /**
   * Names of further SageMaker code repositories, at most 3.
   *
   * @default - none
   */
  readonly additionalCodeRepositories?: string[];
}

/**
 * A SageMaker notebook instance that cannot reach the internet and, with an `IdleAutostopLifecycle`, stops itself when nobody uses it.
 *
 * Direct internet access is off, users are not root, only IMDSv2 answers, and the volume is encrypted with a customer-managed
 * key. Each further notebook is two resources: the instance and its role.
 *
 * @example
 *
 * declare const network: IsolatedNotebookNetwork;
 * declare const autostop: IdleAutostopLifecycle;
 * new IsolatedNotebook(this, 'Notebook', { network, lifecycle: autostop });
 */
export class IsolatedNotebook extends Resource implements iam.IGrantable, ec2.IConnectable {
  /** ARN of the notebook instance. */
  public readonly notebookInstanceArn: string;

  /** Name of the notebook instance. */
  public readonly notebookInstanceName: string;

  /** The role whose permissions the notebook has. */
  public readonly role: iam.IRole;

  /** The role, to be granted permissions. The network has to let them through as well. */
  public readonly grantPrincipal: iam.IPrincipal;

  /** The notebook's security groups. */
  public readonly connections: ec2.Connections;

  /** The network that the notebook is placed in. */
  public readonly network: IsolatedNotebookNetwork;

  constructor(scope: Construct, id: string, props: IsolatedNotebookProps) {
    validate(scope, id, props);
    super(scope, id, { physicalName: props.notebookInstanceName });

    this.network = props.network;
    const securityGroups = [props.network.notebookSecurityGroup, ...props.additionalSecurityGroups ?? []];
    this.connections = new ec2.Connections({ securityGroups });

    const ownTag = this.ownTag();
    const { role, lifecycle } = props;
    this.role = role ?? this.createRole(ownTag, [...props.network._notebookPolicies(), ...lifecycle?.notebookManagedPolicies ?? []]);
    this.grantPrincipal = this.role;

    const resource = new sagemaker.CfnNotebookInstance(this, 'Resource', {
      notebookInstanceName: this.physicalName,
      instanceType: (props.instanceType ?? NotebookInstanceType.T3_MEDIUM).instanceType,
      platformIdentifier: (props.platform ?? NotebookPlatform.AL2023_V1).identifier,
      roleArn: this.role.roleArn,
      subnetId: (props.subnet ?? props.network.subnets[0]).subnetId,
      securityGroupIds: securityGroups.map(group => group.securityGroupId),
      directInternetAccess: 'Disabled',
      rootAccess: props.rootAccess ? 'Enabled' : 'Disabled',
      instanceMetadataServiceConfiguration: { minimumInstanceMetadataServiceVersion: '2' },
      kmsKeyId: (props.encryptionKey ?? props.network.encryptionKey).keyArn,
      volumeSizeInGb: props.volumeSize?.toGibibytes(),
      lifecycleConfigName: lifecycle?.lifecycleConfigName,
      defaultCodeRepository: props.defaultCodeRepository,
      additionalCodeRepositories: props.additionalCodeRepositories,
    });
    Tags.of(resource).add(SELF_TAG, ownTag);
    resource.node.addDependency(props.network._connectivity);
    if (role) {
      this.equipBroughtRole(role, resource, [...props.network._notebookStatements(), ...lifecycle?.notebookStatements(ownTag) ?? []]);
    }

    this.notebookInstanceArn = this.getResourceArnAttribute(resource.ref, {
      service: 'sagemaker',
      resource: 'notebook-instance',
      resourceName: this.physicalName,
    });
    this.notebookInstanceName = this.getResourceNameAttribute(resource.attrNotebookInstanceName);
  }

  /**
   * Allow a principal to do something with this notebook.
   *
   * @param grantee who
   * @param actions for example `sagemaker:DescribeNotebookInstance`
   */
  public grant(grantee: iam.IGrantable, ...actions: string[]): iam.Grant {
    return iam.Grant.addToPrincipal({ grantee, actions, resourceArns: [this.notebookInstanceArn] });
  }

  /**
   * Allow a principal to start this notebook, and to see whether it runs.
   */
  public grantStart(grantee: iam.IGrantable): iam.Grant {
    return this.grant(grantee, 'sagemaker:DescribeNotebookInstance', 'sagemaker:StartNotebookInstance');
  }

  /**
   * Allow a principal to stop this notebook, and to see whether it runs.
   */
  public grantStop(grantee: iam.IGrantable): iam.Grant {
    return this.grant(grantee, 'sagemaker:DescribeNotebookInstance', 'sagemaker:StopNotebookInstance');
  }

  /** A value that no other notebook of the account and region carries: a stack's name is unique there, and the id within the stack. */
  private ownTag(): string {
    // A tag's value holds 256 characters; the end of a unique id is a hash of the whole path.
    return `${Stack.of(this).stackName}/${Names.nodeUniqueId(this.node).slice(-100)}`;
  }

  private createRole(ownTag: string, managedPolicies: iam.IManagedPolicy[]): iam.Role {
    const role = new iam.Role(this, 'Role', {
      path: this.network.notebookRolePath,
      assumedBy: new iam.ServicePrincipal('sagemaker.amazonaws.com', {
        // SageMaker documents no source account for notebooks: where it sends none, creation must still work.
        conditions: { StringEqualsIfExists: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
      managedPolicies,
    });
    Tags.of(role).add(SELF_TAG, ownTag);
    return role;
  }

  private equipBroughtRole(role: iam.IRole, resource: sagemaker.CfnNotebookInstance, statements: iam.PolicyStatement[]): void {
    this.network.allowRole(role);
    if (statements.length === 0) {
      return;
    }
    const policy = new iam.ManagedPolicy(this, 'Policy', {
      description: 'What an isolated notebook needs of a role that was not made for it',
      path: this.network.notebookRolePath,
      statements,
    });
    if (iam.Role.isRole(role) && Stack.of(role) !== Stack.of(this)) {
      policy.attachToRole(role); // the other way round, the stack of the role would depend on this one
    } else {
      role.addManagedPolicy(policy);
    }
    resource.node.addDependency(policy);
  }
}

function validate(scope: Construct, id: string, props: IsolatedNotebookProps): void {
  const problems = new Problems();
  const { network, notebookInstanceName: name, volumeSize, subnet } = props;
  if (name !== undefined && !Token.isUnresolved(name)) {
    problems.when(name.length > 63, `'notebookInstanceName' must have at most 63 characters, got ${name.length}: shorten '${name}'`);
    problems.when(!/^[a-z0-9](-*[a-z0-9])*$/.test(name),
      `'notebookInstanceName' must be lower-case letters, digits and hyphens between them, got '${name}': SageMaker lower-cases its ARNs, and IAM would not match; write '${suggestName(name)}'`);
  }
  if (volumeSize !== undefined && !volumeSize.isUnresolved()) {
    const gibibytes = volumeSize.toGibibytes({ rounding: SizeRoundingBehavior.NONE });
    problems.when(!Number.isInteger(gibibytes) || gibibytes < 5 || gibibytes > 16_384,
      `'volumeSize' must be whole GiB from 5 to 16384, got ${gibibytes} GiB: choose a size in between; volumes can grow later, never shrink`);
  }
  const type = props.instanceType ?? NotebookInstanceType.T3_MEDIUM;
  const platform = props.platform ?? NotebookPlatform.AL2023_V1;
  problems.when(type.family !== undefined && platform.unsupportedFamilies.includes(type.family),
    `'instanceType' must be of a family that ${platform.identifier} runs on, got ${type.instanceType}: it has no ${platform.unsupportedFamilies.join(', ')}; use for example ml.g5.xlarge`);
  const groups = 1 + (props.additionalSecurityGroups?.length ?? 0);
  problems.when(groups > 5,
    `'additionalSecurityGroups' must be at most 4, got ${groups - 1}: SageMaker takes 5 groups and the network's is one; merge some`);
  const repositories = props.additionalCodeRepositories?.length ?? 0;
  problems.when(repositories > 3, `'additionalCodeRepositories' must be at most 3, got ${repositories}: clone the others from a notebook`);
  problems.when(subnet !== undefined && !network.subnets.some(one => one.subnetId === subnet.subnetId),
    `'subnet' must be one of the network's, got ${subnet?.node.path}: choose from network.subnets, or select it in 'vpcSubnets' of ${network.node.path}`);
  problems.when(props.role !== undefined && !trustsSageMaker(scope, props.role),
    `'role' must trust sagemaker.amazonaws.com, got ${props.role?.node.path}: create it with assumedBy: new iam.ServicePrincipal('sagemaker.amazonaws.com')`);
  problems.throwIfAny(scope, id);
}

function suggestName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 63);
}

/** Whether the role's trust policy names SageMaker; true where the trust policy is not known, as for an imported role. */
function trustsSageMaker(scope: Construct, role: iam.IRole): boolean {
  if (!iam.Role.isRole(role) || !role.assumeRolePolicy) {
    return true;
  }
  return JSON.stringify(Stack.of(scope).resolve(role.assumeRolePolicy)).includes('"sagemaker.');
}
