import { execFileSync } from 'child_process';
import { createHash } from 'crypto';
import { readFileSync, writeFileSync, mkdtempSync } from 'fs';
import { tmpdir } from 'os';
import { join } from 'path';
import { App, Duration, Environment, Stack, aws_ec2 as ec2, aws_iam as iam, aws_s3 as s3, Size } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as lib from '../src';

function quickstart(notebooks = 1, env?: Environment, idleTimeout?: Duration) {
  const stack = new Stack(new App(), 'Quickstart', { env });
  const network = new lib.IsolatedNotebookNetwork(stack, 'Network');
  const scripts = new lib.S3ScriptEndpoint(stack, 'Scripts', { network });
  const autostop = new lib.IdleAutostopLifecycle(stack, 'Autostop', { scripts, idleTimeout });
  for (let i = 0; i < notebooks; i++) {
    new lib.IsolatedNotebook(stack, i === 0 ? 'Notebook' : `Notebook${i}`, { network, lifecycle: autostop });
  }
  return Template.fromStack(stack);
}

function only(template: Template, type: string): any {
  const found = Object.values(template.findResources(type));
  expect(found).toHaveLength(1);
  return found[0];
}

/** Every resource that `id` refers to or depends on, directly or not. */
function needs(template: Template, id: string, seen = new Set<string>()): Set<string> {
  const resource = template.toJSON().Resources[id];
  for (const other of Object.keys(template.toJSON().Resources)) {
    if (other !== id && !seen.has(other) && JSON.stringify(resource).includes(`"${other}"`)) {
      seen.add(other);
      needs(template, other, seen);
    }
  }
  return seen;
}

describe('the four lines', () => {
  const template = quickstart();
  const json = template.toJSON();

  test('the notebook is closed by default', () => {
    template.hasResourceProperties('AWS::SageMaker::NotebookInstance', {
      DirectInternetAccess: 'Disabled',
      RootAccess: 'Disabled',
      InstanceMetadataServiceConfiguration: { MinimumInstanceMetadataServiceVersion: '2' },
      PlatformIdentifier: 'notebook-al2023-v1',
      KmsKeyId: Match.anyValue(),
      LifecycleConfigName: Match.anyValue(),
    });
    template.hasResourceProperties('AWS::KMS::Key', { EnableKeyRotation: true });
  });

  test('nothing leads out', () => {
    for (const type of ['AWS::EC2::InternetGateway', 'AWS::EC2::NatGateway', 'AWS::EC2::Route', 'AWS::EC2::EgressOnlyInternetGateway', 'AWS::IAM::Policy', 'AWS::EC2::SecurityGroupEgress']) {
      template.resourceCountIs(type, 0);
    }
    expect(JSON.stringify(json)).not.toMatch(/0\.0\.0\.0\/0|::\/0|arn:aws:/);
  });

  test('notebooks reach S3 and the endpoints, and only on 443', () => {
    const groups: any[] = Object.values(template.findResources('AWS::EC2::SecurityGroup'));
    const notebook = groups.find(group => /Isolated notebooks/.test(group.Properties.GroupDescription));
    const endpoint = groups.find(group => /Interface endpoints/.test(group.Properties.GroupDescription));
    expect(notebook.Properties.SecurityGroupIngress).toBeUndefined();
    expect(notebook.Properties.SecurityGroupEgress.map((rule: any) => [rule.FromPort, rule.ToPort, rule.IpProtocol, Object.keys(rule).find(key => key.startsWith('Destination') || key === 'CidrIp')]))
      .toEqual([[443, 443, 'tcp', 'DestinationPrefixListId'], [443, 443, 'tcp', 'DestinationSecurityGroupId']]);
    expect(endpoint.Properties.SecurityGroupEgress).toEqual([expect.objectContaining({ CidrIp: '255.255.255.255/32' })]); // the CDK's "no traffic"
    expect(endpoint.Properties.SecurityGroupIngress).toBeUndefined();
    expect(only(template, 'AWS::EC2::SecurityGroupIngress').Properties).toMatchObject({ FromPort: 443, ToPort: 443, IpProtocol: 'tcp', SourceSecurityGroupId: expect.anything() });
  });

  const roles = { StringEquals: { 'aws:PrincipalAccount': { Ref: 'AWS::AccountId' } }, ArnLike: { 'aws:PrincipalArn': expect.anything() } };

  test('the gateway endpoint passes exactly the script, on the route tables of the notebook subnets', () => {
    const gateway: any = Object.values(template.findResources('AWS::EC2::VPCEndpoint', { Properties: { VpcEndpointType: 'Gateway' } }))[0];
    expect(gateway.Properties.RouteTableIds).toHaveLength(2);
    expect(gateway.Properties.PolicyDocument.Statement).toEqual([{
      Sid: 'NotebooksFetchScripts',
      Effect: 'Allow',
      Principal: '*',
      Action: 's3:GetObject',
      Condition: roles,
      Resource: [{ 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':s3:::', { 'Fn::Sub': expect.stringContaining('cdk-hnb659fds-assets') }, expect.stringMatching(/^\/[0-9a-f]{64}\.py$/)]] }],
    }]);
  });

  test('the API endpoint passes describe and stop of notebooks', () => {
    const api: any = Object.values(template.findResources('AWS::EC2::VPCEndpoint', { Properties: { VpcEndpointType: 'Interface' } }))[0];
    expect(api.Properties.PrivateDnsEnabled).toBe(true);
    expect(api.Properties.PolicyDocument.Statement).toEqual([{
      Effect: 'Allow',
      Principal: '*',
      Action: ['sagemaker:DescribeNotebookInstance', 'sagemaker:StopNotebookInstance'],
      Condition: roles,
      Resource: { 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':sagemaker:', { Ref: 'AWS::Region' }, ':', { Ref: 'AWS::AccountId' }, ':notebook-instance/*']] },
    }]);
  });

  test('the role fetches one object and stops the notebook that carries its own tag, nothing else', () => {
    const policies: any[] = Object.values(template.findResources('AWS::IAM::ManagedPolicy', { Properties: { Path: '/isolated-notebook/' } }));
    expect(policies).toHaveLength(1);
    expect(policies[0].Properties.PolicyDocument.Statement).toEqual([
      { Sid: 'FetchScript', Effect: 'Allow', Action: 's3:GetObject', Resource: expect.anything() },
      {
        Sid: 'StopItself',
        Effect: 'Allow',
        Action: ['sagemaker:DescribeNotebookInstance', 'sagemaker:StopNotebookInstance'],
        Resource: expect.anything(),
        Condition: { StringEquals: { 'aws:ResourceTag/IsolatedNotebookId': '${aws:PrincipalTag/IsolatedNotebookId}' } },
      },
    ]);
    const notebook = only(template, 'AWS::SageMaker::NotebookInstance');
    const role: any = Object.values(template.findResources('AWS::IAM::Role', { Properties: { Path: '/isolated-notebook/' } }))[0];
    expect(role.Properties.Tags).toEqual(notebook.Properties.Tags);
    expect(role.Properties.ManagedPolicyArns).toHaveLength(1);
    expect(role.Properties.Policies).toBeUndefined();
    expect(role.Properties.AssumeRolePolicyDocument.Statement).toEqual([
      { Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { Service: 'sagemaker.amazonaws.com' }, Condition: { StringEqualsIfExists: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } } },
    ]);
  });

  test('the notebook boots after all that it uses', () => {
    const needed = needs(template, Object.keys(template.findResources('AWS::SageMaker::NotebookInstance'))[0]);
    for (const type of ['AWS::EC2::VPCEndpoint', 'AWS::EC2::SecurityGroupIngress', 'AWS::EC2::SubnetRouteTableAssociation', 'AWS::SageMaker::NotebookInstanceLifecycleConfig', 'AWS::KMS::Key']) {
      for (const id of Object.keys(template.findResources(type))) {
        expect(needed).toContain(id);
      }
    }
    expect(needed).toContain(Object.keys(template.findResources('AWS::IAM::ManagedPolicy', { Properties: { Path: '/isolated-notebook/' } }))[0]);
  });

  test('on-start is bash, carries the hash of the script, and is small enough', () => {
    const content = only(template, 'AWS::SageMaker::NotebookInstanceLifecycleConfig').Properties.OnStart[0].Content['Fn::Base64'];
    const script = content['Fn::Join'][1].map((part: any) => typeof part === 'string' ? part : 'token').join('');
    const file = join(mkdtempSync(join(tmpdir(), 'on-start-')), 'on-start.sh');
    writeFileSync(file, script);
    execFileSync('bash', ['-n', file]);
    expect(script).toContain(`SCRIPT_SHA256='${createHash('sha256').update(readFileSync(join(__dirname, '..', 'assets', 'autostop.py'))).digest('hex')}'`);
    expect(script).toContain("AUTOSTOP_FLAGS='--time 3600 --ignore-connections'");
    expect(script).not.toMatch(/@settings@|@user-commands@/);
    expect(script.length).toBeLessThan(12_288);
  });
});

test('50 notebooks: two resources each, and the same policies as for one', () => {
  const [one, fifty] = [quickstart(1), quickstart(50)];
  const count = (template: Template) => Object.keys(template.toJSON().Resources).length;
  expect(count(fifty) - count(one)).toBe(98);
  expect(count(fifty)).toBeLessThan(150);
  for (const type of ['AWS::EC2::VPCEndpoint', 'AWS::IAM::ManagedPolicy', 'AWS::KMS::Key']) {
    expect(JSON.stringify(fifty.findResources(type))).toBe(JSON.stringify(one.findResources(type)));
  }
  const bytes = (template: Template) => JSON.stringify(template.toJSON()).length; // white space aside;
  expect((bytes(fifty) - bytes(one)) / 49).toBeLessThanOrEqual(1_500);
  const tags = Object.values(fifty.findResources('AWS::SageMaker::NotebookInstance')).map((notebook: any) => notebook.Properties.Tags[0].Value);
  expect(new Set(tags).size).toBe(50);
});

test('a known region has a literal prefix list; an unknown one is an error that names the prop', () => {
  expect(JSON.stringify(quickstart(1, { region: 'eu-west-1', account: '111111111111' }).toJSON())).toContain('pl-6da54004');
  expect(() => quickstart(1, { region: 'eu-south-1', account: '111111111111' })).toThrow(/'s3PrefixListId' must be given in region eu-south-1/);
});

test('a seed-like stack: existing bucket and key, root access, 5-minute checks', () => {
  const stack = new Stack(new App(), 'Seed');
  const bucket = s3.Bucket.fromBucketName(stack, 'Bucket', 'my-scripts');
  const network = new lib.IsolatedNotebookNetwork(stack, 'Network');
  const scripts = new lib.S3ScriptEndpoint(stack, 'Scripts', { network });
  const lifecycle = new lib.IdleAutostopLifecycle(stack, 'Autostop', {
    scripts, script: lib.NotebookScript.fromBucket(bucket, 'lifecycle-configurations/autostop.py'), checkInterval: Duration.minutes(5),
  });
  new lib.IsolatedNotebook(stack, 'Notebook', { network, lifecycle, rootAccess: true });
  const template = Template.fromStack(stack);
  template.hasResourceProperties('AWS::SageMaker::NotebookInstance', { RootAccess: 'Enabled', DirectInternetAccess: 'Disabled' });
  expect(JSON.stringify(template.findResources('AWS::EC2::VPCEndpoint'))).toContain(':s3:::my-scripts/lifecycle-configurations/autostop.py');
});

test('two lifecycles share the one bundled script', () => {
  const stack = new Stack(new App(), 'Two');
  const network = new lib.IsolatedNotebookNetwork(stack, 'Network');
  const scripts = new lib.S3ScriptEndpoint(stack, 'Scripts', { network });
  const short = new lib.IdleAutostopLifecycle(stack, 'Short', { scripts, idleTimeout: Duration.minutes(30) });
  const long = new lib.IdleAutostopLifecycle(stack, 'Long', { scripts, idleTimeout: Duration.hours(8) });
  expect(short.script).toBe(long.script);
  const template = Template.fromStack(stack);
  template.resourceCountIs('AWS::SageMaker::NotebookInstanceLifecycleConfig', 2);
  const gateway: any = Object.values(template.findResources('AWS::EC2::VPCEndpoint', { Properties: { VpcEndpointType: 'Gateway' } }))[0];
  expect(gateway.Properties.PolicyDocument.Statement[0].Resource).toHaveLength(1);
});

describe('bad input', () => {
  const setUp = () => {
    const stack = new Stack(new App(), 'Bad');
    const network = new lib.IsolatedNotebookNetwork(stack, 'Network');
    const scripts = new lib.S3ScriptEndpoint(stack, 'Scripts', { network });
    return { stack, network, scripts };
  };

  test('networks', () => {
    const stack = new Stack(new App(), 'Bad');
    const vpc = new ec2.Vpc(stack, 'Vpc');
    expect(() => new lib.IsolatedNotebookNetwork(stack, 'A', { vpc })).toThrow(/'vpc' must have isolated subnets/);
    expect(() => new lib.IsolatedNotebookNetwork(stack, 'B', { vpc, vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC } })).toThrow(/'vpcSubnets' must select isolated subnets, got public/);
    expect(() => new lib.IsolatedNotebookNetwork(stack, 'C', { vpc, vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS } })).toThrow(/got with a route to a NAT gateway/);
    const deaf = new ec2.Vpc(stack, 'Deaf', { enableDnsHostnames: false, subnetConfiguration: [{ name: 'I', subnetType: ec2.SubnetType.PRIVATE_ISOLATED }] });
    expect(() => new lib.IsolatedNotebookNetwork(stack, 'D', { vpc: deaf })).toThrow(/'vpc' must have DNS support/);
    expect(stack.node.tryFindChild('A')).toBeUndefined();
  });

  test('lifecycles', () => {
    const { stack, scripts } = setUp();
    const make = (props: object) => () => new lib.IdleAutostopLifecycle(stack, 'X', { scripts, ...props });
    expect(make({ idleTimeout: Duration.seconds(30) })).toThrow(/'idleTimeout' must be between 1 minute and 7 days, got 30 seconds/);
    expect(make({ idleTimeout: Duration.millis(90_500) })).toThrow(/'idleTimeout' must be a multiple of 1 second/);
    expect(make({ checkInterval: Duration.seconds(90) })).toThrow(/'checkInterval' must be a multiple of 1 minute/);
    expect(make({ checkInterval: Duration.hours(1) })).toThrow(/'checkInterval' must be between 1 minute and 30 minutes/);
    expect(make({ onStartCommands: ['x'.repeat(10_000)] })).toThrow(/'onStartCommands' must leave the lifecycle script at 12288 bytes or fewer/);
  });

  test('scripts', () => {
    const { stack, network, scripts } = setUp();
    const make = (scriptPrefix: string) => () => new lib.S3ScriptEndpoint(stack, 'X', { network, scriptPrefix });
    expect(make('scripts')).toThrow(/'scriptPrefix' must end with a slash/);
    expect(make('/scripts/')).toThrow(/'scriptPrefix' must not start with a slash/);
    expect(make('a/../b/')).toThrow(/must not have '..' in it/);
    const bucket = s3.Bucket.fromBucketName(stack, 'Bucket', 'some-bucket');
    expect(() => scripts.publish(lib.NotebookScript.fromBucket(bucket, 'a/*'))).toThrow(/must name exactly what may be read/);
    const file = join(mkdtempSync(join(tmpdir(), 'crlf-')), 'a.py');
    writeFileSync(file, '#!/usr/bin/env python3\r\n');
    expect(() => scripts.publish(lib.NotebookScript.fromAsset(file))).toThrow(/must have LF line ends/);
    const vpc = new ec2.Vpc(stack, 'Vpc');
    expect(() => new lib.S3ScriptEndpoint(stack, 'Y', { network, gatewayEndpoint: vpc.addGatewayEndpoint('D', { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB }) })).toThrow(/must be of the service S3/);
  });

  test('notebooks', () => {
    const { stack, network } = setUp();
    const make = (props: object) => () => new lib.IsolatedNotebook(stack, 'X', { network, ...props });
    expect(make({ notebookInstanceName: 'My-Notebook' })).toThrow(/'notebookInstanceName' must be lower-case.*write 'my-notebook'/);
    expect(make({ notebookInstanceName: 'a'.repeat(64) })).toThrow(/at most 63 characters/);
    expect(make({ volumeSize: Size.gibibytes(4) })).toThrow(/'volumeSize' must be whole GiB from 5 to 16384, got 4/);
    expect(make({ instanceType: lib.NotebookInstanceType.of('ml.p3.2xlarge') })).toThrow(/'instanceType' must be of a family that notebook-al2023-v1 runs on/);
    expect(make({ additionalSecurityGroups: Array(5).fill(network.endpointSecurityGroup) })).toThrow(/'additionalSecurityGroups' must be at most 4, got 5/);
    expect(make({ role: new iam.Role(stack, 'Lambda', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') }) })).toThrow(/'role' must trust sagemaker/);
    expect(() => lib.NotebookPlatform.of('notebook-al2-v3')).toThrow(/use NotebookPlatform.AL2023_V1/);
  });

  test('a network whose notebooks could never stop themselves fails synthesis', () => {
    const app = new App();
    const stack = new Stack(app, 'Bad');
    const network = new lib.IsolatedNotebookNetwork(stack, 'Network', { interfaceEndpoints: [] });
    new lib.IdleAutostopLifecycle(stack, 'Autostop', { scripts: new lib.S3ScriptEndpoint(stack, 'Scripts', { network }) });
    expect(() => app.synth()).toThrow(/must include NotebookEndpoint.SAGEMAKER_API/);
  });

  test('a script endpoint without a script fails synthesis', () => {
    const app = new App();
    const stack = new Stack(app, 'Bad');
    new lib.S3ScriptEndpoint(stack, 'Scripts', { network: new lib.IsolatedNotebookNetwork(stack, 'Network') });
    expect(() => app.synth()).toThrow(/'publish' of Bad\/Scripts must be called/);
  });
});
