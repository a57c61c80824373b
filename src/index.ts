export { IsolatedNotebookNetwork, IsolatedNotebookNetworkProps } from './isolated-notebook-network';
export { NotebookEndpoint, NotebookEndpointOptions, NotebookEndpointPermission } from './notebook-endpoint';
export { S3ScriptEndpoint, S3ScriptEndpointProps } from './s3-script-endpoint';
export { BucketScriptOptions, NotebookScript, NotebookScriptLocation, NotebookScriptTarget } from './notebook-script';
export { AutostopFailure, IdleAutostopLifecycle, IdleAutostopLifecycleProps } from './idle-autostop-lifecycle';
export { INotebookLifecycle, NotebookLifecycle } from './notebook-lifecycle';
export { IsolatedNotebook, IsolatedNotebookProps } from './isolated-notebook';
export { NotebookInstanceType } from './notebook-instance-type';
export { NotebookPlatform } from './notebook-platform';
