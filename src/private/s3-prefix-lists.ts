import { Aws, CfnMapping, Stack, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';

/**
 * Ids of the prefix list that AWS keeps for S3 (`com.amazonaws.<region>.s3`), by region.
 *
 * AWS owns these lists; every account sees the same id. An id means something only with its region, so there is no
 * fallback. Regions are here when two or more independent public sources agree on the id (checked 2026-11).
 */
export const S3_PREFIX_LISTS: { readonly [region: string]: string } = {
  'us-east-1': 'pl-63a5400a',
  'us-east-2': 'pl-7ba54012',
  'us-west-1': 'pl-6ba54002',
  'us-west-2': 'pl-68a54001',
  'ca-central-1': 'pl-7da54014',
  'sa-east-1': 'pl-6aa54003',
  'eu-west-1': 'pl-6da54004',
  'eu-west-2': 'pl-7ca54015',
  'eu-west-3': 'pl-23ad484a',
  'eu-central-1': 'pl-6ea54007',
  'eu-north-1': 'pl-c3aa4faa',
  'eu-south-2': 'pl-64a5400d',
  'ap-south-1': 'pl-78a54011',
  'ap-northeast-1': 'pl-61a54008',
  'ap-northeast-2': 'pl-78a54011',
  'ap-northeast-3': 'pl-a4a540cd',
  'ap-southeast-1': 'pl-6fa54006',
  'ap-southeast-2': 'pl-6ca54005',
};

/** What is wrong when a stack's region is known but its prefix list is not; undefined when all is well. */
export function unknownPrefixListProblem(region: string): string | undefined {
  if (Token.isUnresolved(region) || region in S3_PREFIX_LISTS) {
    return undefined;
  }
  return `'s3PrefixListId' must be given in region ${region}, which is not in the library's table: pass the id that ` +
    `'aws ec2 describe-prefix-lists --region ${region} --filters Name=prefix-list-name,Values=com.amazonaws.${region}.s3' prints, ` +
    'or, where synthesis may use credentials, ec2.PrefixList.fromLookup(...).prefixListId (aws-cdk-lib 2.186.0 or newer)';
}

/** The id for the stack of `scope`: a literal where the region is known, a CloudFormation mapping where it is not. */
export function s3PrefixListId(scope: Construct): string {
  const region = Stack.of(scope).region;
  if (!Token.isUnresolved(region)) {
    return S3_PREFIX_LISTS[region];
  }
  const mapping = Object.fromEntries(Object.entries(S3_PREFIX_LISTS).map(([name, id]) => [name, { id }]));
  return new CfnMapping(scope, 'S3PrefixLists', { mapping }).findInMap(Aws.REGION, 'id');
}
