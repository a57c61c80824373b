import { createHash } from 'crypto';
import { readFileSync } from 'fs';
import * as path from 'path';
import { Token, aws_s3 as s3, aws_s3_assets as assets, aws_s3_deployment as deployment } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { checkKey } from './private/object-keys';
import { Problems } from './private/problems';

/**
 * Where scripts are published.
 */
export interface NotebookScriptTarget {
  /**
   * The bucket that scripts are copied to at deployment.
   *
   * @default - the bootstrap bucket of the stack, where the CDK CLI puts assets before it deploys
   */
  readonly bucket?: s3.IBucket;

  /**
   * Prefix of the scripts' keys in `bucket`, ending in a slash.
   */
  readonly scriptPrefix: string;
}

/**
 * A script that stands in S3: exactly one object, and what it contains.
 */
export interface NotebookScriptLocation {
  /**
   * The bucket.
   */
  readonly bucket: s3.IBucket;

  /**
   * The key of the object.
   */
  readonly key: string;

  /**
   * SHA-256 of the content, 64 lower-case hexadecimal digits. The notebook runs the script as root only if it matches.
   *
   * @default - not verified
   */
  readonly sha256?: string;
}

/**
 * Options for a script that stands in a bucket already.
 */
export interface BucketScriptOptions {
  /**
   * SHA-256 of the object's content, as `sha256sum autostop.py` prints it.
   *
   * Without it the notebook runs, as root, whatever stands at the key at that moment: everyone who may write the object
   * rules the notebook.
   *
   * @default - not verified
   */
  readonly sha256?: string;
}

/**
 * A script that notebooks fetch at start.
 */
export abstract class NotebookScript {
  /**
   * The `autostop.py` of this library.
   */
  public static bundledAutostop(): NotebookScript {
    // One instance, so that every lifecycle of an endpoint publishes the same script.
    return NotebookScript.bundled ??= new FileScript(path.join(__dirname, '..', 'assets', 'autostop.py'));
  }

  /**
   * A file on the machine that synthesises; its SHA-256 is taken then, and verified in the notebook.
   *
   * @param file path of the file
   */
  public static fromAsset(file: string): NotebookScript {
    return new FileScript(file);
  }

  /**
   * An object that stands in a bucket already.
   *
   * @param bucket the bucket, in the region of the stack
   * @param key the key, for example `lifecycle-configurations/autostop.py`
   * @param options its SHA-256
   */
  public static fromBucket(bucket: s3.IBucket, key: string, options: BucketScriptOptions = {}): NotebookScript {
    return new BucketScript(bucket, key, options.sha256);
  }

  private static bundled?: NotebookScript;

  /**
   * Put the script where notebooks can fetch it. `S3ScriptEndpoint.publish` calls this.
   */
  public abstract bind(scope: Construct, target: NotebookScriptTarget): NotebookScriptLocation;
}

class FileScript extends NotebookScript {
  constructor(private readonly file: string) {
    super();
  }

  public bind(scope: Construct, target: NotebookScriptTarget): NotebookScriptLocation {
    const content = this.read(scope);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const name = path.basename(this.file);
    // The id holds the content's name, not the path, so that it is the same on every machine.
    const id = `Script${name.replace(/[^A-Za-z0-9]/g, '')}`;
    if (!target.bucket) {
      const asset = new assets.Asset(scope, id, { path: this.file });
      return { bucket: asset.bucket, key: asset.s3ObjectKey, sha256 };
    }
    new deployment.BucketDeployment(scope, id, {
      sources: [deployment.Source.data(name, content.toString('utf8'))],
      destinationBucket: target.bucket,
      destinationKeyPrefix: target.scriptPrefix,
      prune: false, // the prefix may hold scripts of others
    });
    return { bucket: target.bucket, key: `${target.scriptPrefix}${name}`, sha256 };
  }

  private read(scope: Construct): Buffer {
    let content: Buffer;
    try {
      content = readFileSync(this.file);
    } catch (error) {
      throw new Error(`${scope.node.path}: the script must be a readable file, got '${this.file}': ${(error as Error).message}`);
    }
    const problems = new Problems();
    problems.when(content.includes('\r\n'), `the script must have LF line ends, got CRLF in '${this.file}': its first line would name an interpreter that does not exist; convert it with dos2unix`);
    problems.throwIfAny(scope, '');
    return content;
  }
}

class BucketScript extends NotebookScript {
  constructor(private readonly bucket: s3.IBucket, private readonly key: string, private readonly sha256?: string) {
    super();
  }

  public bind(scope: Construct, _target: NotebookScriptTarget): NotebookScriptLocation {
    const problems = new Problems();
    checkKey(problems, 'key', this.key);
    problems.when(this.sha256 !== undefined && !Token.isUnresolved(this.sha256) && !/^[0-9a-f]{64}$/.test(this.sha256),
      `'sha256' must be 64 lower-case hexadecimal digits, got '${this.sha256}': take it from 'sha256sum autostop.py'`);
    problems.throwIfAny(scope, '');
    return { bucket: this.bucket, key: this.key, sha256: this.sha256 };
  }
}
