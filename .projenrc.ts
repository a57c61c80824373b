import { awscdk, javascript } from 'projen';

/** The lowest version that has all we use: `Validations.acknowledge`, which the isolation checks build on, came with 2.252.0. */
const CDK_FLOOR = '2.252.0';

const project = new awscdk.AwsCdkConstructLibrary({
  name: 'cdk-isolated-notebook',
  description: 'SageMaker notebook instances that cannot reach the internet, read only the S3 objects they are given, and stop themselves when idle.',
  author: 'cdk-isolated-notebook maintainers',
  authorAddress: 'maintainers@users.noreply.github.com',
  authorOrganization: true,
  repositoryUrl: 'https://github.com/cdk-isolated-notebook/cdk-isolated-notebook.git',
  license: 'Apache-2.0',
  copyrightOwner: 'cdk-isolated-notebook maintainers',
  stability: 'experimental',
  keywords: ['aws', 'cdk', 'awscdk', 'aws-cdk', 'sagemaker', 'notebook', 'isolated', 'vpc', 'vpc-endpoint', 's3', 'security', 'autostop', 'idle', 'lifecycle-configuration', 'compliance'],
  defaultReleaseBranch: 'main',
  majorVersion: 0,

  cdkVersion: CDK_FLOOR,
  jsiiVersion: '~6.0.0',
  typescriptVersion: '~5.9.0', // what jsii 6 is built on; the linters do not know 7 yet
  packageManager: javascript.NodePackageManager.NPM,
  minNodeVersion: '20.0.0',
  projenrcTs: true,
  // jsii owns tsconfig.json; everything that is not src/ (tests, examples, demo, this file) compiles with tsconfig.dev.json.
  disableTsconfig: true,
  tsconfigDevFile: 'tsconfig.dev.json',
  tsconfigDev: {
    include: ['.projenrc.ts'],
    compilerOptions: { rootDir: '.', noUnusedLocals: true },
  },

  publishToPypi: {
    distName: 'cdk-isolated-notebook',
    module: 'cdk_isolated_notebook',
    trustedPublishing: true,
  },
  npmProvenance: true,
  npmTrustedPublishing: true,

  docgen: true,
  compat: true,
  sampleCode: false,
  gitignore: ['.venvs/', 'cdk.out/', '.demo/', '__pycache__/', '*.pyc', '.nodes/'],

  devDeps: [
    // The CLI's versions are not the library's: `latest` may be a major that the floor does not know.
    'aws-cdk@^2',
  ],
  eslintOptions: {
    dirs: ['src'],
    devdirs: ['test'],
  },
  jestOptions: {
    jestConfig: {
      // CDK's own template validation costs seconds a process; one end-to-end test switches it on.
      setupFiles: ['<rootDir>/test/setup.ts'],
      testPathIgnorePatterns: ['/node_modules/', '/.venvs/', '/.demo/'],
    },
  },
});

// Only what a user's synthesis needs is in the tarball.
for (const path of ['/demo/', '/bench/', '/examples/', '/docs/', '/scripts/', '/.ci/', '/.venvs/', '/.demo/', 'cdk.out/', '/CONTRIBUTING.md', '/eslint.config.mjs']) {
  project.npmignore?.addPatterns(path);
}

// ESLint's project service would pick jsii's tsconfig.json, which leaves the tests out.
project.tryFindObjectFile('.eslintrc.json')?.addDeletionOverride('parserOptions.projectService');
project.tryFindObjectFile('.eslintrc.json')?.addOverride('parserOptions.project', ['./tsconfig.dev.json']);

// What runs inside the notebook is Python and bash, and is tested as such.
project.testTask.exec('python3 -m unittest discover -s test/assets -t .');

// The scripts run on Linux, whatever the editor's machine is: CRLF breaks a shebang.
project.gitattributes.addAttributes('*.sh', 'eol=lf');
project.gitattributes.addAttributes('*.py', 'eol=lf');

// The README is the page on Construct Hub: a snippet that does not compile must fail the build.
project.package.file.addOverride('jsii.metadata.jsii.rosetta.strict', true);

// publib's own default; repeating the host here says nothing.
project.tryFindObjectFile('.github/workflows/release.yml')?.addDeletionOverride('jobs.release_npm.steps.9.env.NPM_REGISTRY');

// The pattern for jsii's own tsconfig.json hides this one too.
project.gitignore.addPatterns('!/projenrc/tsconfig.json');

// Not every platform's binary of the newest one is published, and `npm ci` refuses a lock file that lacks any.
project.package.file.addOverride('overrides.unrs-resolver', '1.11.1');

project.synth();
