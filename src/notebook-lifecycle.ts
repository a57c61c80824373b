import { aws_iam as iam } from 'aws-cdk-lib';

/**
 * A lifecycle configuration as `IsolatedNotebook` takes it: scripts that run as root when the notebook is created and started.
 */
export interface INotebookLifecycle {
  /**
   * Name of the lifecycle configuration.
   */
  readonly lifecycleConfigName: string;

  /**
   * Policies that the roles of all notebooks share. They must not refer to a notebook.
   */
  readonly notebookManagedPolicies: iam.IManagedPolicy[];

  /**
   * The same permissions for a role that the user brings, which shares no policy with others.
   *
   * @param ownTag value of the tag that the notebook carries and no other notebook has
   */
  notebookStatements(ownTag: string): iam.PolicyStatement[];
}

/**
 * Lifecycle configurations that were made elsewhere.
 */
export class NotebookLifecycle {
  /**
   * A lifecycle configuration by its name. Its scripts get no permissions from here.
   *
   * @param lifecycleConfigName name, in the account and region of the notebook
   */
  public static fromLifecycleConfigName(lifecycleConfigName: string): INotebookLifecycle {
    return { lifecycleConfigName, notebookManagedPolicies: [], notebookStatements: () => [] };
  }

  private constructor() {}
}
