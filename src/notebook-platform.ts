/**
 * The operating system and JupyterLab of a notebook instance.
 */
export class NotebookPlatform {
  /**
   * Amazon Linux 2023 with JupyterLab 4.
   */
  public static readonly AL2023_V1 = new NotebookPlatform('notebook-al2023-v1', ['p2', 'p3', 'p3dn', 'inf1', 'g3']);

  /**
   * A platform that this library has no name for.
   *
   * Amazon Linux 1 and 2 are refused: since 2026-07-01 SageMaker neither creates nor restarts notebook instances on them.
   *
   * @param identifier for example `notebook-al2023-v1`
   */
  public static of(identifier: string): NotebookPlatform {
    if (/^notebook-al[12]-/.test(identifier)) {
      throw new Error(`'platform' must be one that SageMaker still starts, got '${identifier}': use NotebookPlatform.AL2023_V1`);
    }
    return new NotebookPlatform(identifier, []);
  }

  private constructor(
    /**
     * The identifier, as SageMaker takes it.
     */
    public readonly identifier: string,
    /**
     * Instance families that the platform does not run on, for example `p2`.
     */
    public readonly unsupportedFamilies: string[],
  ) {}
}
