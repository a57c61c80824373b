import { Construct } from 'constructs';

/** Collects what is wrong with a construct's props, so that the user sees everything at once and before any resource is made. */
export class Problems {
  private readonly messages: string[] = [];

  /** Notes `message` when `wrong` holds. Form: `'prop' must …, got …: <what to do>`. */
  public when(wrong: boolean, message: string): void {
    if (wrong) {
      this.messages.push(message);
    }
  }

  /** @throws one Error that names the construct and every problem noted. */
  public throwIfAny(scope: Construct, id: string): void {
    if (this.messages.length > 0) {
      const path = [scope.node.path, id].filter(part => part).join('/');
      throw new Error(`${path}: ${this.messages.join('\n  ')}`);
    }
  }
}
