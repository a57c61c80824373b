import { aws_ec2 as ec2 } from 'aws-cdk-lib';
import { ALL_NOTEBOOK_INSTANCES, LOG_ACTIONS, NOTEBOOK_LOG_GROUP, SELF_STOP_ACTIONS } from './private/permissions';

/**
 * What notebooks may do through an interface endpoint.
 */
export interface NotebookEndpointPermission {
  /**
   * IAM actions, for example `kms:Decrypt`.
   */
  readonly actions: string[];

  /**
   * ARNs of the resources; wildcards are taken as they are in IAM policies.
   */
  readonly resources: string[];
}

/**
 * Options of an endpoint that this library has no name for.
 */
export interface NotebookEndpointOptions {
  /**
   * What the endpoint's policy lets notebook roles do through it.
   *
   * There is no default: an interface endpoint without a policy passes every action of every principal.
   */
  readonly permissions: NotebookEndpointPermission[];

  /**
   * Whether every notebook's role is allowed the same permissions.
   *
   * An endpoint policy only limits; with `false` the roles need the permissions from somewhere else.
   *
   * @default false
   */
  readonly grantToNotebooks?: boolean;
}

/**
 * An AWS service that notebooks reach through an interface endpoint.
 *
 * Each one brings its own least-privilege endpoint policy.
 */
export class NotebookEndpoint {
  /**
   * The SageMaker API. Without it an isolated notebook can never stop itself.
   *
   * Its policy passes describing and stopping notebook instances of this account and region, nothing else.
   */
  public static readonly SAGEMAKER_API = new NotebookEndpoint('SagemakerApi', ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_API, {
    permissions: [{ actions: SELF_STOP_ACTIONS, resources: [ALL_NOTEBOOK_INSTANCES] }],
  });

  /**
   * CloudWatch Logs, for the lifecycle and Jupyter logs in the group `/aws/sagemaker/NotebookInstances`.
   *
   * Every notebook's role is allowed to write to that group.
   */
  public static readonly CLOUDWATCH_LOGS = new NotebookEndpoint('CloudWatchLogs', ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS, {
    permissions: [{ actions: LOG_ACTIONS, resources: [NOTEBOOK_LOG_GROUP, `${NOTEBOOK_LOG_GROUP}:*`] }],
    grantToNotebooks: true,
  });

  /**
   * Security Token Service, for `aws sts get-caller-identity` and nothing else.
   */
  public static readonly STS = new NotebookEndpoint('Sts', ec2.InterfaceVpcEndpointAwsService.STS, {
    permissions: [{ actions: ['sts:GetCallerIdentity'], resources: ['*'] }],
  });

  /**
   * An endpoint of any other service.
   *
   * @param id PascalCase name of the endpoint's construct; logical ids follow from it
   * @param service the service, for example `ec2.InterfaceVpcEndpointAwsService.KMS`
   * @param options what notebooks may do through it
   */
  public static of(id: string, service: ec2.IInterfaceVpcEndpointService, options: NotebookEndpointOptions): NotebookEndpoint {
    if (options.permissions.length === 0) {
      throw new Error(`'permissions' of NotebookEndpoint.of('${id}') must not be empty: name the actions that notebooks need; an endpoint without a policy passes everything`);
    }
    return new NotebookEndpoint(id, service, options);
  }

  private constructor(
    /**
     * Name of the endpoint; endpoints of one network are told apart by it.
     */
    public readonly id: string,
    /**
     * The service behind the endpoint.
     */
    public readonly service: ec2.IInterfaceVpcEndpointService,
    private readonly options: NotebookEndpointOptions,
    /**
     * The endpoint of this service that the VPC has already, if any.
     */
    public readonly existingEndpoint?: ec2.IInterfaceVpcEndpoint,
  ) {}

  /**
   * What notebooks may do through the endpoint.
   */
  public get permissions(): NotebookEndpointPermission[] {
    return this.options.permissions;
  }

  /**
   * Whether every notebook's role is allowed `permissions`.
   */
  public get grantToNotebooks(): boolean {
    return this.options.grantToNotebooks ?? false;
  }

  /**
   * Take an endpoint of this service that the VPC has already, instead of making one.
   *
   * A VPC holds only one endpoint with private DNS for each service. The endpoint's security groups are opened to the
   * notebooks on port 443 (an imported group too, unless it was imported with `mutable: false`). Its policy is left
   * alone and must allow `permissions` to the notebooks' roles.
   *
   * @param endpoint made in this app, or imported with `InterfaceVpcEndpoint.fromInterfaceVpcEndpointAttributes` and its `securityGroups`
   */
  public existing(endpoint: ec2.IInterfaceVpcEndpoint): NotebookEndpoint {
    return new NotebookEndpoint(this.id, this.service, this.options, endpoint);
  }
}
