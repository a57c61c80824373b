import { Token } from 'aws-cdk-lib';
import { Problems } from './problems';

/** Notes what keeps `key` from naming exactly one S3 object (or, with a slash at its end, one prefix) in a policy. */
export function checkKey(problems: Problems, prop: string, key: string): void {
  if (Token.isUnresolved(key)) {
    return;
  }
  problems.when(key.startsWith('/'), `'${prop}' must not start with a slash, got '${key}': S3 keys have no root; remove it`);
  problems.when(key.split('/').includes('..'), `'${prop}' must not have '..' in it, got '${key}': S3 keys are not paths; write the whole key`);
  problems.when(/[*?]|\$\{/.test(key), `'${prop}' must name exactly what may be read, got '${key}': IAM reads *, ? and \${ as wildcards; use another name`);
  problems.when(key === '' || /[^\x20-\x7e]/.test(key), `'${prop}' must be printable ASCII and not empty, got '${key}': use another name`);
}
