import { aws_ec2 as ec2 } from 'aws-cdk-lib';

/**
 * A peer whose rules stand inside the security group itself.
 *
 * The CDK puts rules to prefix lists and other groups into resources of their own. A group that has only such rules is
 * created without any egress, which EC2 reads as "allow everything"; the rules are added later and the open one stays.
 */
export class InlinePeer implements ec2.IPeer {
  public static prefixList(id: string): InlinePeer {
    return new InlinePeer(id, { destinationPrefixListId: id });
  }

  public static securityGroup(group: ec2.ISecurityGroup): InlinePeer {
    return new InlinePeer(group.uniqueId, group.toEgressRuleConfig());
  }

  public readonly canInlineRule = true;
  public readonly connections: ec2.Connections = new ec2.Connections({ peer: this });

  private constructor(public readonly uniqueId: string, private readonly egress: any) {}

  public toEgressRuleConfig(): any {
    return this.egress;
  }

  public toIngressRuleConfig(): any {
    throw new Error('An InlinePeer is a destination only');
  }
}
