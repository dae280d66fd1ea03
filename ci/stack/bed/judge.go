package main

func runJudge([]string) error { return nil }
