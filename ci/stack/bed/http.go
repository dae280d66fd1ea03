package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// client trusts the test bed's authority and shows a client certificate, if one is named.
func client(pki, identity string) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if identity != "" {
		authority, err := os.ReadFile(pki + "/ca.crt")
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(authority)
		pair, err := tls.LoadX509KeyPair(pki+"/"+identity+".crt", pki+"/"+identity+".key")
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}, nil
}

// answers tells whether url answers 200 within two seconds.
func answers(c *http.Client, url string) error {
	quick := *c
	quick.Timeout = 2 * time.Second
	response, err := quick.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// postJSON sends a document to Argo CD and reads the answer. Without the content type its
// server refuses every request that is not a GET.
func postJSON(c *http.Client, url, token string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return decode(response, answer)
}

// getJSON reads one document.
func getJSON(c *http.Client, url string, answer any) error {
	response, err := c.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return decode(response, answer)
}

func decode(response *http.Response, answer any) error {
	if response.StatusCode/100 != 2 {
		message, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		return fmt.Errorf("%s %s: %s: %s", response.Request.Method, response.Request.URL, response.Status, message)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

// until tries every 50 ms; it gives up when the time is over or one of the programs has ended.
func until(what string, limit time.Duration, programs []*program, try func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return nil
		}
		for _, p := range programs {
			if dead := p.died(); dead != nil {
				return fmt.Errorf("%s: %w", what, dead)
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not ready after %s: %w", what, limit, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// runGet prints what a URL answers, so that the scripts need no other HTTP client.
func runGet(args []string) error {
	flags := flag.NewFlagSet("get", flag.ExitOnError)
	if err := parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("get: exactly one URL is needed")
	}
	request, err := http.NewRequest(http.MethodGet, flags.Arg(0), nil)
	if err != nil {
		return err
	}
	if token := os.Getenv("ARGOCD_AUTH_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	c := http.Client{Timeout: 10 * time.Second}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", flags.Arg(0), response.Status)
	}
	return nil
}
