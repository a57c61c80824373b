import { Token } from 'aws-cdk-lib';

/**
 * The type of a notebook instance.
 */
export class NotebookInstanceType {
  /** ml.t3.medium: 2 vCPU, 4 GiB */
  public static readonly T3_MEDIUM = new NotebookInstanceType('ml.t3.medium');
  /** ml.t3.large: 2 vCPU, 8 GiB */
  public static readonly T3_LARGE = new NotebookInstanceType('ml.t3.large');
  /** ml.t3.xlarge: 4 vCPU, 16 GiB */
  public static readonly T3_XLARGE = new NotebookInstanceType('ml.t3.xlarge');
  /** ml.t3.2xlarge: 8 vCPU, 32 GiB */
  public static readonly T3_2XLARGE = new NotebookInstanceType('ml.t3.2xlarge');
  /** ml.m5.xlarge: 4 vCPU, 16 GiB */
  public static readonly M5_XLARGE = new NotebookInstanceType('ml.m5.xlarge');
  /** ml.m5.2xlarge: 8 vCPU, 32 GiB */
  public static readonly M5_2XLARGE = new NotebookInstanceType('ml.m5.2xlarge');
  /** ml.m5.4xlarge: 16 vCPU, 64 GiB */
  public static readonly M5_4XLARGE = new NotebookInstanceType('ml.m5.4xlarge');
  /** ml.c5.xlarge: 4 vCPU, 8 GiB */
  public static readonly C5_XLARGE = new NotebookInstanceType('ml.c5.xlarge');
  /** ml.c5.2xlarge: 8 vCPU, 16 GiB */
  public static readonly C5_2XLARGE = new NotebookInstanceType('ml.c5.2xlarge');
  /** ml.r5.large: 2 vCPU, 16 GiB */
  public static readonly R5_LARGE = new NotebookInstanceType('ml.r5.large');
  /** ml.r5.xlarge: 4 vCPU, 32 GiB */
  public static readonly R5_XLARGE = new NotebookInstanceType('ml.r5.xlarge');
  /** ml.g4dn.xlarge: 4 vCPU, 16 GiB, one NVIDIA T4 */
  public static readonly G4DN_XLARGE = new NotebookInstanceType('ml.g4dn.xlarge');
  /** ml.g5.xlarge: 4 vCPU, 16 GiB, one NVIDIA A10G */
  public static readonly G5_XLARGE = new NotebookInstanceType('ml.g5.xlarge');
  /** ml.g5.2xlarge: 8 vCPU, 32 GiB, one NVIDIA A10G */
  public static readonly G5_2XLARGE = new NotebookInstanceType('ml.g5.2xlarge');

  /**
   * A type that this library has no name for.
   *
   * @param instanceType for example `ml.g6.xlarge`
   */
  public static of(instanceType: string): NotebookInstanceType {
    if (!Token.isUnresolved(instanceType) && !/^ml\.[a-z0-9-]+\.[a-z0-9-]+$/.test(instanceType)) {
      throw new Error(`'instanceType' must be like ml.t3.medium, got '${instanceType}': SageMaker's types begin with ml.`);
    }
    return new NotebookInstanceType(instanceType);
  }

  private constructor(
    /**
     * The type, as SageMaker takes it.
     */
    public readonly instanceType: string,
  ) {}

  /**
   * The family, for example `g5`; undefined where the type is a token.
   */
  public get family(): string | undefined {
    return Token.isUnresolved(this.instanceType) ? undefined : this.instanceType.split('.')[1];
  }
}
