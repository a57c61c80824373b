import { Lazy, Stack, Token, aws_ec2 as ec2, aws_iam as iam, aws_s3 as s3 } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { IsolatedNotebookNetwork } from './isolated-notebook-network';
import { NotebookScript, NotebookScriptLocation } from './notebook-script';
import { checkKey } from './private/object-keys';
import { FETCH_ACTIONS } from './private/permissions';
import { Problems } from './private/problems';

/**
 * Properties of `S3ScriptEndpoint`.
 */
export interface S3ScriptEndpointProps {
  /**
   * The network whose notebooks fetch scripts.
   */
  readonly network: IsolatedNotebookNetwork;

  /**
   * The bucket that scripts are copied to at deployment, under `scriptPrefix`, in the region of the stack.
   *
   * The copying is done by the CDK's `BucketDeployment`, whose Lambda function may write to the bucket.
   *
   * @default - the bootstrap bucket of the stack, where the CDK CLI puts assets before it deploys; nothing is added to the stack
   */
  readonly bucket?: s3.IBucket;

  /**
   * Prefix of the scripts' keys in `bucket`. Without `bucket` the CDK chooses the keys.
   *
   * @default 'lifecycle-configurations/'
   */
  readonly scriptPrefix?: string;

  /**
   * The S3 gateway endpoint that the route tables of the network's subnets have already. A route table can have only one.
   *
   * Its policy is left alone: it must allow `s3:GetObject` on the scripts, to everyone (`"*"`), at least under
   * `network.notebookRoleConditions`.
   *
   * @default - a new endpoint on the route tables of the network's own subnets
   */
  readonly gatewayEndpoint?: ec2.IGatewayVpcEndpoint;
}

/**
 * The way to S3: a gateway endpoint whose policy lets notebooks read exactly the scripts that were published, and nothing else.
 *
 * The endpoint's policy holds for everyone on the same route tables. Give notebooks subnets with route tables of their
 * own, or pass `gatewayEndpoint`.
 *
 * @example
 *
 * declare const network: IsolatedNotebookNetwork;
 * const scripts = new S3ScriptEndpoint(this, 'Scripts', { network });
 */
export class S3ScriptEndpoint extends Construct {
  /** The network whose notebooks fetch scripts. */
  public readonly network: IsolatedNotebookNetwork;

  /** The gateway endpoint. */
  public readonly gatewayEndpoint: ec2.IGatewayVpcEndpoint;

  /** Prefix of the scripts' keys in a bucket of the user's. */
  public readonly scriptPrefix: string;

  private readonly bucket?: s3.IBucket;
  private readonly published = new Map<NotebookScript, NotebookScriptLocation>();

  constructor(scope: Construct, id: string, props: S3ScriptEndpointProps) {
    validate(scope, id, props);
    super(scope, id);

    this.network = props.network;
    this.bucket = props.bucket;
    this.scriptPrefix = props.scriptPrefix ?? 'lifecycle-configurations/';
    this.gatewayEndpoint = props.gatewayEndpoint ?? this.createEndpoint();
  }

  /**
   * Put a script where notebooks can fetch it, and open the endpoint's policy for that one object.
   *
   * Publishing the same script again gives the same location.
   *
   * @throws when the script cannot be read, has CRLF line ends, or stands in a bucket of another region
   */
  public publish(script: NotebookScript): NotebookScriptLocation {
    let location = this.published.get(script);
    if (!location) {
      location = script.bind(this, { bucket: this.bucket, scriptPrefix: this.scriptPrefix });
      const problems = new Problems();
      checkRegion(problems, this, location.bucket);
      problems.throwIfAny(this, '');
      this.published.set(script, location);
    }
    return location;
  }

  /**
   * What a notebook's role needs to fetch a script: `s3:GetObject` on its one object, and decryption where its bucket has a key of its own.
   *
   * @param location what `publish` gave
   */
  public fetchStatements(location: NotebookScriptLocation): iam.PolicyStatement[] {
    const key = location.bucket.encryptionKey;
    return [
      new iam.PolicyStatement({
        sid: 'FetchScript',
        actions: FETCH_ACTIONS,
        resources: [location.bucket.arnForObjects(location.key)],
      }),
      ...key ? [new iam.PolicyStatement({
        sid: 'DecryptScript',
        actions: ['kms:Decrypt'],
        resources: [key.keyArn],
        conditions: { StringEquals: { 'kms:ViaService': `s3.${Stack.of(this).region}.${Stack.of(this).urlSuffix}` } },
      })] : [],
    ];
  }

  private createEndpoint(): ec2.GatewayVpcEndpoint {
    const endpoint = new ec2.GatewayVpcEndpoint(this, 'GatewayEndpoint', {
      vpc: this.network.vpc,
      service: ec2.GatewayVpcEndpointAwsService.S3,
      subnets: [{ subnets: this.network.subnets }],
    });
    endpoint.addToPolicy(new iam.PolicyStatement({
      sid: 'NotebooksFetchScripts',
      principals: [new iam.StarPrincipal()], // a gateway endpoint takes no other; the conditions narrow it
      actions: FETCH_ACTIONS,
      resources: Lazy.list({ produce: () => this.scriptArns() }),
      conditions: this.network.notebookRoleConditions,
    }));
    endpoint.node.addDependency(this.network._connectivity);
    // A statement without a resource would be refused only at deployment.
    this.node.addValidation({
      validate: () => this.published.size > 0 ? [] : [
        `'publish' of ${this.node.path} must be called for at least one script, got none: use it in an IdleAutostopLifecycle, or remove it`,
      ],
    });
    return endpoint;
  }

  private scriptArns(): string[] {
    const arns = [...this.published.values()].map(({ bucket, key }) => bucket.arnForObjects(key));
    return [...new Set(arns)];
  }
}

function validate(scope: Construct, id: string, props: S3ScriptEndpointProps): void {
  const problems = new Problems();
  const { network, bucket, scriptPrefix: prefix, gatewayEndpoint } = props;
  if (prefix !== undefined) {
    checkKey(problems, 'scriptPrefix', prefix);
    problems.when(!Token.isUnresolved(prefix) && !prefix.endsWith('/'), `'scriptPrefix' must end with a slash, got '${prefix}': write '${prefix}/'`);
  }
  if (bucket) {
    checkRegion(problems, scope, bucket);
  }
  const service = (gatewayEndpoint?.node.defaultChild as ec2.CfnVPCEndpoint | undefined)?.serviceName;
  if (service !== undefined) {
    const found = JSON.stringify(Stack.of(scope).resolve(service));
    problems.when(!found.includes('.s3"'), `'gatewayEndpoint' must be of the service S3, got ${found}: pass the gateway endpoint of S3`);
  }
  if (!gatewayEndpoint) {
    const without = network.subnets.filter(subnet => subnet.routeTable?.routeTableId === undefined);
    problems.when(without.length > 0,
      `'gatewayEndpoint' must be given for subnets whose route table is not known, got ${without.map(subnet => subnet.node.path).join(', ')}: ` +
      'pass the S3 gateway endpoint that the VPC has, or import the VPC with its isolatedSubnetRouteTableIds');
  }
  problems.throwIfAny(scope, id);
}

function checkRegion(problems: Problems, scope: Construct, bucket: s3.IBucket): void {
  const [here, there] = [Stack.of(scope).region, bucket.env.region];
  problems.when(!Token.isUnresolved(here) && !Token.isUnresolved(there) && here !== there,
    `'bucket' must be in the region of the stack, ${here}, got one in ${there}: a gateway endpoint reaches S3 in its own region only; use a bucket in ${here}`);
}
