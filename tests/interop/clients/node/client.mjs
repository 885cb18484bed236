// One long-lived Node client: `client.mjs KIND`. For each line on standard input it asks its SDK
// for credentials, as a signed call would, and prints them as one line of JSON.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// The packages are where npm put them, not beside this file.
const require = createRequire(`${process.env.INTEROP_NODE}/package.json`);

// What the clients of @aws-sdk do with a provider: it is asked again near the end of its answer.
function memoized(provider) {
  const { memoizeIdentityProvider, isIdentityExpired, doesIdentityRequireRefresh } =
    require("@smithy/core");
  return memoizeIdentityProvider(provider, isIdentityExpired, doesIdentityRequireRefresh);
}

function aws(provider) {
  const held = memoized(provider);
  return async () => {
    const value = await held({});
    return { id: value.accessKeyId, secret: value.secretAccessKey, token: value.sessionToken };
  };
}

function alibaba(config) {
  const { default: Credential, Config } = require("@alicloud/credentials");
  const credential = new Credential(new Config(config));
  return async () => {
    const value = await credential.getCredential();
    return {
      id: value.accessKeyId,
      secret: value.accessKeySecret,
      token: value.securityToken,
    };
  };
}

const kinds = {
  "tencent-metadata": () => {
    const { default: CvmRoleCredential } = require(
      "tencentcloud-sdk-nodejs-common/tencentcloud/common/cvm_role_credential",
    );
    const credential = new CvmRoleCredential();
    return async () => {
      const value = await credential.getCredential();
      return { id: value.secretId, secret: value.secretKey, token: value.token };
    };
  },
  "aws-http": () => aws(require("@aws-sdk/credential-provider-http").fromHttp({})),
  "aws-container": () =>
    aws(require("@smithy/credential-provider-imds").fromContainerMetadata({})),
  "aws-instance": () =>
    aws(require("@smithy/credential-provider-imds").fromInstanceMetadata({})),
  "alibaba-uri": () =>
    alibaba({
      type: "credentials_uri",
      credentialsURI: process.env.ALIBABA_CLOUD_CREDENTIALS_URI,
    }),
  "alibaba-metadata": () => alibaba({ type: "ecs_ram_role" }),
};

let ask;
for await (const _ of createInterface({ input: process.stdin })) {
  let answer;
  try {
    ask ??= kinds[process.argv[2]]();
    answer = await ask();
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  console.log(JSON.stringify(answer));
}
