import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Map;
import java.util.concurrent.Callable;

/**
 * One long-lived Java client: `Client KIND`. For each line on standard input it asks its SDK for
 * credentials, as a signed call would, and prints them as one line of JSON.
 */
public class Client {
    static Map<String, String> triple(String id, String secret, String token) {
        if (id == null || secret == null || token == null) {
            throw new IllegalStateException("no credentials");
        }
        return Map.of("id", id, "secret", secret, "token", token);
    }

    /** Each getter fetches by itself near the end: a set that changed in between is read again. */
    static Callable<Map<String, String>> tencentMetadata() {
        var held = new com.tencentcloudapi.common.provider.CvmRoleCredential();
        return () -> {
            var first = triple(held.getSecretId(), held.getSecretKey(), held.getToken());
            var again = triple(held.getSecretId(), held.getSecretKey(), held.getToken());
            return first.equals(again)
                    ? first
                    : triple(held.getSecretId(), held.getSecretKey(), held.getToken());
        };
    }

    static Callable<Map<String, String>> cos(
            com.qcloud.cos.auth.InstanceMetadataCredentialsEndpointProvider.Instance instance) {
        var endpoint =
                new com.qcloud.cos.auth.InstanceMetadataCredentialsEndpointProvider(instance);
        var held =
                new com.qcloud.cos.auth.InstanceCredentialsProvider(
                        new com.qcloud.cos.auth.InstanceCredentialsFetcher(endpoint));
        return () -> {
            var keys = (com.qcloud.cos.auth.BasicSessionCredentials) held.getCredentials();
            return triple(
                    keys.getCOSAccessKeyId(), keys.getCOSSecretKey(), keys.getSessionToken());
        };
    }

    static Callable<Map<String, String>> aws1(com.amazonaws.auth.AWSCredentialsProvider held) {
        return () -> {
            var keys = (com.amazonaws.auth.AWSSessionCredentials) held.getCredentials();
            return triple(
                    keys.getAWSAccessKeyId(), keys.getAWSSecretKey(), keys.getSessionToken());
        };
    }

    static Callable<Map<String, String>> aws2(
            software.amazon.awssdk.auth.credentials.AwsCredentialsProvider held) {
        return () -> {
            var keys =
                    (software.amazon.awssdk.auth.credentials.AwsSessionCredentials)
                            held.resolveCredentials();
            return triple(keys.accessKeyId(), keys.secretAccessKey(), keys.sessionToken());
        };
    }

    static Callable<Map<String, String>> minio() {
        var held = new io.minio.credentials.IamAwsProvider(null, null);
        return () -> {
            var keys = held.fetch();
            return triple(keys.accessKey(), keys.secretKey(), keys.sessionToken());
        };
    }

    static Callable<Map<String, String>> huawei() {
        var provider =
                com.huaweicloud.sdk.core.auth.MetadataCredentialProvider
                        .getBasicCredentialMetadataProvider();
        var held = (com.huaweicloud.sdk.core.auth.BasicCredentials) provider.getCredentials();
        held.withProjectId("interop");
        return () -> {
            var request =
                    com.huaweicloud.sdk.core.http.HttpRequest.newBuilder()
                            .withMethod(com.huaweicloud.sdk.core.http.HttpMethod.GET)
                            .withEndpoint("http://127.0.0.1")
                            .withPath("/")
                            .build();
            held.syncProcessAuthRequest(request, null); // signs, and asks again before it must
            return triple(held.getAk(), held.getSk(), held.getSecurityToken());
        };
    }

    static Callable<Map<String, String>> obs() {
        var held = new com.obs.services.EcsObsCredentialsProvider();
        return () -> {
            var keys = held.getSecurityKey();
            return triple(keys.getAccessKey(), keys.getSecretKey(), keys.getSecurityToken());
        };
    }

    static Callable<Map<String, String>> alibaba(
            com.aliyun.credentials.provider.SessionCredentialsProvider held) {
        return () -> {
            var keys = held.getCredentials();
            return triple(
                    keys.getAccessKeyId(), keys.getAccessKeySecret(), keys.getSecurityToken());
        };
    }

    static Callable<Map<String, String>> start(String kind) throws Exception {
        switch (kind) {
            case "tencent-metadata":
                return tencentMetadata();
            case "cos-metadata":
                return cos(com.qcloud.cos.auth.InstanceMetadataCredentialsEndpointProvider.Instance.CVM);
            case "cos-emr":
                return cos(com.qcloud.cos.auth.InstanceMetadataCredentialsEndpointProvider.Instance.EMR);
            case "aws1-container":
                return aws1(new com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper());
            case "aws1-instance":
                return aws1(new com.amazonaws.auth.InstanceProfileCredentialsProvider(false));
            case "aws2-container":
                return aws2(
                        software.amazon.awssdk.auth.credentials.ContainerCredentialsProvider
                                .create());
            case "aws2-instance":
                return aws2(
                        software.amazon.awssdk.auth.credentials.InstanceProfileCredentialsProvider
                                .create());
            case "minio-iam":
                return minio();
            case "huawei-metadata":
                return huawei();
            case "obs-metadata":
                return obs();
            case "alibaba-uri":
                return alibaba(
                        com.aliyun.credentials.provider.URLCredentialProvider.builder()
                                .credentialsURI(System.getenv("ALIBABA_CLOUD_CREDENTIALS_URI"))
                                .build());
            case "alibaba-metadata":
                return alibaba(
                        com.aliyun.credentials.provider.EcsRamRoleCredentialProvider.builder()
                                .build());
            default:
                throw new IllegalArgumentException("no such client: " + kind);
        }
    }

    public static void main(String[] arguments) throws Exception {
        // SDKs log to standard output; answers must stand alone there.
        var answers = System.out;
        System.setOut(System.err);
        var lines = new BufferedReader(new InputStreamReader(System.in));
        Callable<Map<String, String>> ask = null;
        while (lines.readLine() != null) {
            Map<String, String> answer;
            try {
                if (ask == null) {
                    ask = start(arguments[0]);
                }
                answer = ask.call();
            } catch (Exception error) {
                answer = Map.of("error", String.valueOf(error));
            }
            answers.println(new Gson().toJson(answer));
            answers.flush();
        }
        System.exit(0);
    }
}
