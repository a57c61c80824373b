import { readFileSync } from 'fs';
import * as path from 'path';
import { Fn, Token, Tokenization } from 'aws-cdk-lib';
import { Problems } from './problems';

/** SageMaker takes at most 16,384 characters of base64, so 12,288 bytes of script. Source: CreateNotebookInstanceLifecycleConfig, `NotebookInstanceLifecycleConfigContent`. */
const MAX_SCRIPT_BYTES = 12_288;

/** Room for one CloudFormation token in a script; the longest that occurs is a bucket's name of 63 characters. */
const TOKEN_BYTES = 64;

/** The lines of `assets/on-start.sh` and `assets/on-create.sh` that rendering replaces. */
const SETTINGS_MARKER = '# @settings@';
const COMMANDS_MARKER = '# @user-commands@';

/** A lifecycle script of `assets/` with settings and the user's commands in their places. */
export function renderScript(name: 'on-start.sh' | 'on-create.sh', settings: { readonly [name: string]: string }, commands: string[]): string {
  const assignments = Object.entries(settings).map(([variable, value]) => `${variable}=${quote(value)}`);
  return readFileSync(path.join(__dirname, '..', '..', 'assets', name), 'utf8')
    // The replacements are functions: in a string `$&` and the like would be expanded.
    .replace(`${SETTINGS_MARKER}\n`, () => `${assignments.join('\n')}\n`)
    .replace(`${COMMANDS_MARKER}\n`, () => commands.map(command => `${command}\n`).join(''));
}

/** The script as CloudFormation takes it. */
export function encodeScript(script: string): string {
  return Fn.base64(script);
}

/** Notes a script that SageMaker would refuse, or that bash could not run. */
export function checkScript(problems: Problems, prop: string, script: string): void {
  const bytes = Buffer.byteLength(tokensAsRoom(script), 'utf8');
  problems.when(bytes > MAX_SCRIPT_BYTES,
    `'${prop}' must leave the lifecycle script at ${MAX_SCRIPT_BYTES} bytes or fewer, got ${bytes}: move the commands into a script of their own, publish it with S3ScriptEndpoint, and fetch it`);
  problems.when(script.includes('\r'), `'${prop}' must have LF line ends, got CRLF: bash takes the carriage return as part of each command; convert with dos2unix`);
}

function tokensAsRoom(script: string): string {
  return Token.isUnresolved(script)
    ? Tokenization.reverseString(script).mapTokens({ mapToken: () => 'x'.repeat(TOKEN_BYTES) }).join({ join: (left, right) => `${left ?? ''}${right ?? ''}` })
    : script;
}

/** One word for bash, whatever is in it. */
function quote(value: string): string {
  return `'${value.replace(/'/g, "'\\''")}'`;
}
