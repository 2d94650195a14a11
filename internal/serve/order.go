package serve

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"time"

	"golang.org/x/crypto/acme"

	"culvert/internal/secret"
)

// requestPatience bounds each request to the authority.
const requestPatience = 30 * time.Second

// obtain gets a certificate into the folder: an order of RFC 8555, by the one challenge that needs no other port.
func (a *applicant) obtain(ctx context.Context) error {
	if err := os.MkdirAll(a.Folder, 0o700); err != nil {
		return fmt.Errorf("CULVERT_ACME_FOLDER: %w; name a folder that this user may write into", err)
	}
	client, err := a.account(ctx)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	order, err := client.AuthorizeOrder(ctx, acme.DomainIDs(a.Name))
	if err != nil {
		return fmt.Errorf("order: %w", err)
	}
	for _, at := range order.AuthzURLs {
		if err := a.prove(ctx, client, at); err != nil {
			return err
		}
	}
	if _, err = client.WaitOrder(ctx, order.URI); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	return a.finish(ctx, client, order)
}

// account is a client with the account of the folder, or a new one.
func (a *applicant) account(ctx context.Context) (*acme.Client, error) {
	key, err := a.accountKey()
	if err != nil {
		return nil, err
	}
	client := &acme.Client{Key: key, DirectoryURL: a.Authority.String(), HTTPClient: &http.Client{Timeout: requestPatience}}
	if _, err = client.Register(ctx, &acme.Account{}, acme.AcceptTOS); errors.Is(err, acme.ErrAccountAlreadyExists) {
		err = nil
	}
	return client, err
}

func (a *applicant) accountKey() (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(a.file(accountFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a.newAccountKey()
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key: remove it, and a new account is made", a.file(accountFile))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if own, ok := key.(*ecdsa.PrivateKey); ok {
		return own, nil
	}
	return nil, fmt.Errorf("%s: %w", a.file(accountFile), errors.Join(err, errors.New("holds no key of ours: remove it, and a new account is made")))
}

func (a *applicant) newAccountKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return key, writePair(a.file(accountFile), nil, key)
}

// prove has the authority look whether the name leads here, if it has not.
func (a *applicant) prove(ctx context.Context, client *acme.Client, at string) error {
	asked, err := client.GetAuthorization(ctx, at)
	if err != nil || asked.Status == acme.StatusValid {
		return err
	}
	i := slices.IndexFunc(asked.Challenges, func(c *acme.Challenge) bool { return c.Type == "tls-alpn-01" })
	if i < 0 {
		return errors.New("the authority has no challenge of the kind tls-alpn-01 for this name: choose another by CULVERT_ACME_URL")
	}
	answer, err := client.TLSALPN01ChallengeCert(asked.Challenges[i].Token, a.Name)
	if err != nil {
		return err
	}
	if err := writePair(a.file(challengeFile), answer.Certificate, answer.PrivateKey); err != nil {
		return err
	}
	defer os.Remove(a.file(challengeFile))
	if _, err := client.Accept(ctx, asked.Challenges[i]); err != nil {
		return fmt.Errorf("challenge: %w", err)
	}
	_, err = client.WaitAuthorization(ctx, at)
	return refusal(err)
}

// refusal says what an authority has against a name, and what to try.
func refusal(err error) error {
	var refused *acme.AuthorizationError
	if !errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("the authority does not find this server: does the name lead to it, and do firewall and provider let port 443 through? %w",
		errors.Join(refused.Errors...))
}

// finish has the authority sign a new key, and keeps both.
func (a *applicant) finish(ctx context.Context, client *acme.Client, order *acme.Order) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{a.Name}}, key)
	if err != nil {
		return err
	}
	chain, _, err := client.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	return writePair(a.certificate(), chain, key)
}

// writePair writes a chain, which may be nil, and its key into one file.
func writePair(name string, chain [][]byte, key crypto.PrivateKey) error {
	text, err := PairPEM(tls.Certificate{Certificate: chain, PrivateKey: key})
	if err != nil {
		return err
	}
	return secret.Write(name, text, 0o600)
}

// PairPEM is a chain and its key in PEM form, in this order.
func PairPEM(pair tls.Certificate) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return nil, err
	}
	var text []byte
	for _, c := range pair.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...), nil
}
