// The CDK's built-in template validation costs seconds a process: one end-to-end test runs with it, the others without.
process.env.CDK_VALIDATION = 'false';
process.env.JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION = '1';
