import { Aws, aws_iam as iam } from 'aws-cdk-lib';

/** What a notebook needs to stop itself, and to see that it is stopping. */
export const SELF_STOP_ACTIONS = ['sagemaker:DescribeNotebookInstance', 'sagemaker:StopNotebookInstance'];

/** Reading the current version of one object: enough for `aws s3api get-object`. */
export const FETCH_ACTIONS = ['s3:GetObject'];

/** Writing the lifecycle and Jupyter logs, which SageMaker does with the notebook's role. */
export const LOG_ACTIONS = ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'];

/**
 * The tag that says which notebook a role belongs to.
 *
 * Notebook and role carry the same value. One shared policy then lets every notebook stop only itself: the notebook's
 * tag must equal the role's (`aws:ResourceTag` = `aws:PrincipalTag`). Nothing refers to the notebook, so there is no
 * cycle and CloudFormation may replace it.
 */
export const SELF_TAG = 'IsolatedNotebookId';

/** The value that stands for "my own tag" in the shared policy. IAM never matches it for a role without the tag. */
export const OWN_TAG_OF_PRINCIPAL = `\${aws:PrincipalTag/${SELF_TAG}}`;

/** Every notebook instance of the stack's account and region; conditions narrow it. */
export const ALL_NOTEBOOK_INSTANCES = `arn:${Aws.PARTITION}:sagemaker:${Aws.REGION}:${Aws.ACCOUNT_ID}:notebook-instance/*`;

/** SageMaker writes the logs of every notebook instance of the account and region into this one group. */
export const NOTEBOOK_LOG_GROUP = `arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:/aws/sagemaker/NotebookInstances`;

/** Stop and describe, of the notebook whose tag is `tagValue` and of no other. */
export function selfStopStatement(tagValue: string): iam.PolicyStatement {
  return new iam.PolicyStatement({
    sid: 'StopItself',
    actions: SELF_STOP_ACTIONS,
    resources: [ALL_NOTEBOOK_INSTANCES],
    conditions: { StringEquals: { [`aws:ResourceTag/${SELF_TAG}`]: tagValue } },
  });
}
