// One long-lived Go client: `go-client KIND`. For each line on standard input it asks its SDK for
// credentials, as a signed call would, and prints them as one line of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	alibaba "github.com/aliyun/credentials-go/credentials"
	aws "github.com/aws/aws-sdk-go-v2/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-obs/obs"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/provider"
	minio "github.com/minio/minio-go/v7/pkg/credentials"
	tencent "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"
	cos "github.com/tencentyun/cos-go-sdk-v5"
)

// Keys are what a client holds; Signed says instead that it made a call with them.
type Keys struct {
	ID     string `json:"id,omitempty"`
	Secret string `json:"secret,omitempty"`
	Token  string `json:"token,omitempty"`
	Error  string `json:"error,omitempty"`
	Signed bool   `json:"signed,omitempty"`
}

type fetch func() (Keys, error)

func tencentMetadata() (fetch, error) {
	credential, err := tencent.DefaultCvmRoleProvider().GetCredential()
	if err != nil {
		return nil, err
	}
	return func() (Keys, error) {
		id, secret, token := credential.GetCredential()
		return Keys{ID: id, Secret: secret, Token: token}, nil
	}, nil
}

func cosMetadata() (fetch, error) {
	transport := &cos.CVMCredentialTransport{}
	return func() (Keys, error) {
		id, secret, token, err := transport.GetCredential()
		return Keys{ID: id, Secret: secret, Token: token}, err
	}, nil
}

func awsDefault() (fetch, error) {
	loaded, err := aws.LoadDefaultConfig(context.Background(), aws.WithRegion("us-east-1"))
	if err != nil {
		return nil, err
	}
	return func() (Keys, error) {
		value, err := loaded.Credentials.Retrieve(context.Background())
		return Keys{ID: value.AccessKeyID, Secret: value.SecretAccessKey, Token: value.SessionToken}, err
	}, nil
}

func minioIAM() (fetch, error) {
	held := minio.NewIAM("")
	return func() (Keys, error) {
		value, err := held.GetWithContext(nil)
		return Keys{ID: value.AccessKeyID, Secret: value.SecretAccessKey, Token: value.SessionToken}, err
	}, nil
}

// What the SDK itself calls before it signs a request.
func huawei(credential auth.ICredential, err error) (fetch, error) {
	if err != nil {
		return nil, err
	}
	basic := credential.(*auth.BasicCredentials)
	return func() (Keys, error) {
		err := basic.ProcessSts(nil)
		return Keys{ID: basic.AK, Secret: basic.SK, Token: basic.SecurityToken}, err
	}, nil
}

func huaweiMetadata() (fetch, error) {
	return huawei(provider.BasicCredentialMetadataProvider().GetCredentials())
}

func huaweiContainer() (fetch, error) {
	return huawei(provider.BasicCredentialPodIdentityProvider().GetCredentials())
}

func obsMetadata() (fetch, error) {
	client, err := obs.New("", "", os.Getenv("INTEROP_ENDPOINT"),
		obs.WithSecurityProviders(obs.NewEcsSecurityProvider(1)),
		obs.WithSignature(obs.SignatureV4), obs.WithRegion("interop"),
		obs.WithPathStyle(true), obs.WithMaxRetryCount(0))
	if err != nil {
		return nil, err
	}
	return func() (Keys, error) {
		_, err := client.ListBuckets(nil)
		return Keys{Signed: true}, err
	}, nil
}

func alibabaDefault(config *alibaba.Config) (fetch, error) {
	credential, err := alibaba.NewCredential(config)
	if err != nil {
		return nil, err
	}
	return func() (Keys, error) {
		value, err := credential.GetCredential()
		if err != nil {
			return Keys{}, err
		}
		return Keys{ID: *value.AccessKeyId, Secret: *value.AccessKeySecret, Token: *value.SecurityToken}, nil
	}, nil
}

func alibabaURI() (fetch, error) {
	kind, uri := "credentials_uri", os.Getenv("ALIBABA_CLOUD_CREDENTIALS_URI")
	return alibabaDefault(&alibaba.Config{Type: &kind, Url: &uri})
}

func alibabaMetadata() (fetch, error) {
	kind := "ecs_ram_role"
	return alibabaDefault(&alibaba.Config{Type: &kind})
}

var kinds = map[string]func() (fetch, error){
	"tencent-metadata": tencentMetadata,
	"cos-metadata":     cosMetadata,
	"aws":              awsDefault,
	"minio-iam":        minioIAM,
	"huawei-metadata":  huaweiMetadata,
	"huawei-container": huaweiContainer,
	"obs-metadata":     obsMetadata,
	"alibaba-uri":      alibabaURI,
	"alibaba-metadata": alibabaMetadata,
}

func main() {
	start, known := kinds[os.Args[1]]
	if !known {
		log.Fatalf("no such client: %s", os.Args[1])
	}
	var ask fetch
	answers := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var keys Keys
		var err error
		if ask == nil {
			ask, err = start()
		}
		if err == nil {
			keys, err = ask()
		}
		if err != nil {
			keys = Keys{Error: fmt.Sprint(err)}
		}
		if err := answers.Encode(keys); err != nil {
			log.Fatal(err)
		}
	}
}
