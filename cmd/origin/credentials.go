package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"culvert/internal/secret"
	"culvert/internal/serve"
)

// credentialsFile names a file with AWS credentials, as credential_process prints them:
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html. Whoever
// writes it replaces it before they expire.
type credentialsFile string

// renewBefore is how long before their end credentials are read again.
const renewBefore = 10 * time.Minute

// check refuses the standard input, which can be read only once.
func (f credentialsFile) check() serve.SettingError {
	if f != "-" {
		return serve.SettingError{}
	}
	return serve.SettingError{Name: "CULVERT_GATEWAY_CREDENTIALS", Problem: "is the standard input, which has nothing more when the credentials expire",
		Try: "CULVERT_GATEWAY_CREDENTIALS=/run/culvert-posts/credentials, a file that is replaced in time"}
}

// provider reads the file when credentials are needed first, and in time before they expire.
func (f credentialsFile) provider() aws.CredentialsProvider {
	return aws.NewCredentialsCache(f, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = renewBefore })
}

// Retrieve implements aws.CredentialsProvider.
func (f credentialsFile) Retrieve(context.Context) (aws.Credentials, error) {
	text, err := secret.Read(string(f), os.Stdin)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("CULVERT_GATEWAY_CREDENTIALS: %w", err)
	}
	var c struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      time.Time
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return aws.Credentials{}, errors.New("CULVERT_GATEWAY_CREDENTIALS: the file holds no credentials as credential_process prints them")
	}
	return aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		Source: "file", CanExpire: !c.Expiration.IsZero(), Expires: c.Expiration,
	}, nil
}
