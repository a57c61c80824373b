import { Annotations, Duration, Stack, Token, aws_iam as iam, aws_sagemaker as sagemaker } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { NotebookEndpoint } from './notebook-endpoint';
import { INotebookLifecycle } from './notebook-lifecycle';
import { NotebookScript, NotebookScriptLocation } from './notebook-script';
import { checkScript, encodeScript, renderScript } from './private/lifecycle-script';
import { OWN_TAG_OF_PRINCIPAL, selfStopStatement } from './private/permissions';
import { Problems } from './private/problems';
import { S3ScriptEndpoint } from './s3-script-endpoint';

/**
 * What a notebook does when it cannot fetch, verify or schedule its idle script at start.
 */
export enum AutostopFailure {
  /**
   * The notebook fails to start, with the reason in its lifecycle log. It costs nothing, and cannot be used.
   */
  FAIL_START = 'fail',

  /**
   * The notebook starts and says in its lifecycle log that nothing will stop it. It can be used, and costs until somebody stops it.
   */
  START_WITHOUT_AUTOSTOP = 'start-without-autostop',
}

/**
 * Properties of `IdleAutostopLifecycle`.
 */
export interface IdleAutostopLifecycleProps {
  /**
   * The way on which notebooks fetch the idle script.
   */
  readonly scripts: S3ScriptEndpoint;

  /**
   * How long a notebook has to be idle until it stops itself. Whole seconds, from 1 minute to 7 days.
   *
   * @default Duration.hours(1)
   */
  readonly idleTimeout?: Duration;

  /**
   * How often a notebook looks whether it is idle. Whole minutes, from 1 to 30.
   *
   * An idle notebook stops after `idleTimeout` and at most one `checkInterval` more.
   *
   * @default Duration.minutes(5)
   */
  readonly checkInterval?: Duration;

  /**
   * Whether an open browser tab, in which nobody does anything, is no reason to keep a notebook.
   *
   * @default true
   */
  readonly ignoreConnections?: boolean;

  /**
   * Port of the Jupyter server in the notebook.
   *
   * @default 8443
   */
  readonly jupyterPort?: number;

  /**
   * The idle script. It is called with `--time SECONDS`, and with `--ignore-connections` and `--port PORT` where they apply,
   * as the sample script of AWS is; every other prop of this construct that is given adds a flag that the bundled script knows.
   *
   * @default NotebookScript.bundledAutostop()
   */
  readonly script?: NotebookScript;

  /**
   * What a notebook does when it cannot fetch, verify or schedule the script at start.
   *
   * @default AutostopFailure.FAIL_START
   */
  readonly onFailure?: AutostopFailure;

  /**
   * Lines of bash that run as root once, when a notebook is created. Jupyter, S3 and the endpoints are what they can reach.
   *
   * @default - none
   */
  readonly onCreateCommands?: string[];

  /**
   * Lines of bash that run as root at every start, after the idle script is scheduled. If they fail, the start fails and the
   * log says that they did. All that runs at a start has 5 minutes.
   *
   * @default - none
   */
  readonly onStartCommands?: string[];
}

/**
 * A lifecycle configuration with which a notebook stops itself when nobody uses it.
 *
 * At every start the notebook fetches the idle script from S3, compares its SHA-256 with the one taken at synthesis,
 * schedules it with systemd or cron, and verifies that it is scheduled. One lifecycle serves any number of notebooks.
 *
 * @example
 *
 * declare const scripts: S3ScriptEndpoint;
 * const autostop = new IdleAutostopLifecycle(this, 'Autostop', { scripts, idleTimeout: Duration.hours(1) });
 */
export class IdleAutostopLifecycle extends Construct implements INotebookLifecycle {
  public readonly lifecycleConfigName: string;

  public readonly notebookManagedPolicies: iam.IManagedPolicy[];

  /** Where the idle script stands in S3. */
  public readonly script: NotebookScriptLocation;

  private readonly scripts: S3ScriptEndpoint;

  constructor(scope: Construct, id: string, props: IdleAutostopLifecycleProps) {
    validate(scope, id, props);
    super(scope, id);

    this.scripts = props.scripts;
    this.script = props.scripts.publish(props.script ?? NotebookScript.bundledAutostop());
    const { onStart, onCreate } = this.renderScripts(props);

    const policy = new iam.ManagedPolicy(this, 'NotebookPolicy', {
      description: 'Lets an isolated notebook fetch its idle script, and describe and stop itself',
      path: props.scripts.network.notebookRolePath,
      statements: this.notebookStatements(OWN_TAG_OF_PRINCIPAL),
    });
    this.notebookManagedPolicies = [policy];

    const resource = new sagemaker.CfnNotebookInstanceLifecycleConfig(this, 'Resource', {
      onStart: [{ content: encodeScript(onStart) }],
      onCreate: onCreate ? [{ content: encodeScript(onCreate) }] : undefined,
    });
    // Whoever depends on the lifecycle, as each notebook does by its name, boots after all that the scripts use.
    resource.node.addDependency(props.scripts, props.scripts.network._connectivity);
    this.lifecycleConfigName = resource.attrNotebookInstanceLifecycleConfigName;

    if (this.script.sha256 === undefined) {
      Annotations.of(this).addWarningV2('cdk-isolated-notebook:script-not-verified',
        `Notebooks run ${this.script.key} as root without verifying it: whoever may write the object rules them. Pass its 'sha256' to NotebookScript.fromBucket.`);
    }
    this.node.addValidation({ validate: () => this.validateStopPath() });
  }

  public notebookStatements(ownTag: string): iam.PolicyStatement[] {
    return [...this.scripts.fetchStatements(this.script), selfStopStatement(ownTag)];
  }

  private renderScripts(props: IdleAutostopLifecycleProps): { onStart: string; onCreate?: string } {
    const onStart = renderScript('on-start.sh', {
      SCRIPT_BUCKET: this.script.bucket.bucketName,
      SCRIPT_KEY: this.script.key,
      SCRIPT_SHA256: this.script.sha256 ?? '',
      SCRIPT_REGION: Stack.of(this).region,
      AUTOSTOP_FLAGS: autostopFlags(props).join(' '),
      CHECK_INTERVAL_MINUTES: String((props.checkInterval ?? Duration.minutes(5)).toMinutes()),
      ON_FETCH_FAILURE: props.onFailure ?? AutostopFailure.FAIL_START,
    }, props.onStartCommands ?? []);
    const onCreate = props.onCreateCommands && renderScript('on-create.sh', {}, props.onCreateCommands);

    const problems = new Problems();
    checkScript(problems, 'onStartCommands', onStart);
    checkScript(problems, 'onCreateCommands', onCreate ?? '');
    problems.throwIfAny(this, '');
    return { onStart, onCreate };
  }

  private validateStopPath(): string[] {
    return this.scripts.network.interfaceEndpoint(NotebookEndpoint.SAGEMAKER_API) ? [] : [
      `'interfaceEndpoints' of ${this.scripts.network.node.path} must include NotebookEndpoint.SAGEMAKER_API, got a network without: ` +
      'a notebook in it can never stop itself; add it, or pass NotebookEndpoint.SAGEMAKER_API.existing(endpoint) where the VPC has one',
    ];
  }
}

/** Flags of the idle script; all but the first three are there only when the user asked for them, so that a script of the user's needs to know no others. */
function autostopFlags(props: IdleAutostopLifecycleProps): string[] {
  const idleTimeout = props.idleTimeout ?? Duration.hours(1);
  return [
    `--time ${idleTimeout.toSeconds()}`,
    ...(props.ignoreConnections ?? true) ? ['--ignore-connections'] : [],
    ...props.jupyterPort !== undefined ? [`--port ${props.jupyterPort}`] : [],
  ];
}

function validate(scope: Construct, id: string, props: IdleAutostopLifecycleProps): void {
  const problems = new Problems();
  checkDuration(problems, 'idleTimeout', props.idleTimeout, { min: Duration.minutes(1), max: Duration.days(7), unit: Duration.seconds(1) });
  checkDuration(problems, 'checkInterval', props.checkInterval, { min: Duration.minutes(1), max: Duration.minutes(30), unit: Duration.minutes(1) });
  const port = props.jupyterPort;
  problems.when(port !== undefined && !Token.isUnresolved(port) && (!Number.isInteger(port) || port < 1 || port > 65535),
    `'jupyterPort' must be a port from 1 to 65535, got ${port}: SageMaker's Jupyter listens on 8443`);
  problems.throwIfAny(scope, id);
}

function checkDuration(problems: Problems, prop: string, value: Duration | undefined, range: { min: Duration; max: Duration; unit: Duration }): void {
  if (value === undefined || value.isUnresolved()) {
    return;
  }
  const milliseconds = value.toMilliseconds();
  problems.when(milliseconds < range.min.toMilliseconds() || milliseconds > range.max.toMilliseconds(),
    `'${prop}' must be between ${range.min.toHumanString()} and ${range.max.toHumanString()}, got ${value.toHumanString()}: choose a value in between`);
  problems.when(milliseconds % range.unit.toMilliseconds() !== 0,
    `'${prop}' must be a multiple of ${range.unit.toHumanString()}, got ${value.toHumanString()}: round it`);
}
