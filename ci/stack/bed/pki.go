package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// authority is the certificate authority of one test bed.
type authority struct {
	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

// identities are the programs that get a client certificate of their own, so that the audit log
// tells who did what.
var identities = map[string][]string{
	"admin":                          {"system:masters"},
	"system:kube-controller-manager": nil,
	"system:kube-scheduler":          nil,
	"kwok":                           {"system:masters"},
	"kubelet":                        {"system:masters"},
}

// makePKI writes every key and certificate that the programs need into folder.
func makePKI(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	ca, err := newAuthority(folder)
	if err != nil {
		return err
	}
	serving := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "unship-stack"},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if err := ca.issue("serving", serving); err != nil {
		return err
	}
	for name, groups := range identities {
		client := &x509.Certificate{
			Subject:     pkix.Name{CommonName: name, Organization: groups},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		if err := ca.issue(strings.TrimPrefix(name, "system:"), client); err != nil {
			return err
		}
	}
	return writeServiceAccountKeys(folder)
}

func newAuthority(folder string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "unship-stack-ca"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if err := dated(template); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{folder, cert, key}, writePEM(filepath.Join(folder, "ca.crt"), "CERTIFICATE", der)
}

// issue writes NAME.crt and NAME.key.
func (a *authority) issue(name string, template *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := dated(template); err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(a.folder, name+".crt"), "CERTIFICATE", der); err != nil {
		return err
	}
	return writeKey(filepath.Join(a.folder, name+".key"), key)
}

// writeServiceAccountKeys makes the pair that signs ServiceAccount tokens.
func writeServiceAccountKeys(folder string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := writeKey(filepath.Join(folder, "sa.key"), key); err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return writePEM(filepath.Join(folder, "sa.pub"), "PUBLIC KEY", der)
}

func dated(template *x509.Certificate) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().AddDate(1, 0, 0)
	return err
}

func writeKey(path string, key crypto.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// kubeconfig renders a kubeconfig with one cluster, one user and one context; credentials is
// YAML for the user, "" for none.
func kubeconfig(server, ca, namespace, credentials string) (string, error) {
	authority := ""
	if ca != "" {
		data, err := os.ReadFile(ca)
		if err != nil {
			return "", err
		}
		authority = "\n    certificate-authority-data: " + base64.StdEncoding.EncodeToString(data)
	}
	if credentials == "" {
		credentials = "{}"
	}
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: unship-stack
  cluster:
    server: %s%s
users:
- name: user
  user: %s
contexts:
- name: unship-stack
  context:
    cluster: unship-stack
    user: user
    namespace: %s
current-context: unship-stack
`, server, authority, credentials, namespace), nil
}
