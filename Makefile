# Lodge: `make demo` runs it, `make test` proves it, `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export CGO_ENABLED ?= 0
ARTIFACTS := .artifacts
TOOLS := bin/tools

.PHONY: help demo build build-arm test check setup browser lint bench soak clean

help: ## what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: build ## run everything in one process, keeping its data in .demo
	exec bin/lodge demo --data .demo

build: ## build bin/lodge, a static binary
	go build -trimpath -ldflags "-s -w" -o bin/lodge ./cmd/lodge

build-arm: ## build bin/lodge-linux-arm64 and bin/lodge-linux-armv7, for the machine beside an experiment
	GOOS=linux GOARCH=arm64 go build -trimpath -ldflags "-s -w" -o bin/lodge-linux-arm64 ./cmd/lodge
	GOOS=linux GOARCH=arm GOARM=7 go build -trimpath -ldflags "-s -w" -o bin/lodge-linux-armv7 ./cmd/lodge

test: setup ## all tests: Go with the race detector, then the journey in Chromium
	CGO_ENABLED=1 go test -race -timeout 20m ./...
	$(MAKE) browser

# What needs servers that are killed and failed over, and takes its time, is left to `make test`.
SLOW := internal/(storage/(redis|postgres|jetstream|s3)|hubnode)$$|idp/oidcprovider

check: ## the inner loop, under two minutes: vet, and the tests that wait for no failover, without the race detector
	go vet ./...
	go test -timeout 5m -skip '^Test(Rel|Fault|Proxies)' $$(go list ./... | grep -vE '$(SLOW)')

setup: ## install what the tests need and this machine lacks
	deploy/test-setup.sh

browser: build ## the journey in Chromium; screenshots land in .artifacts
	cd web/browser && npm ci --no-audit --no-fund --silent
	cd web/browser && LODGE_BINARY=$(CURDIR)/bin/lodge LODGE_ARTIFACTS=$(CURDIR)/$(ARTIFACTS) node --test --test-concurrency=1 *.test.mjs

lint: $(TOOLS)/golangci-lint $(TOOLS)/staticcheck ## golangci-lint and staticcheck
	$(TOOLS)/golangci-lint run ./...
	$(TOOLS)/staticcheck ./...

$(TOOLS)/golangci-lint: internal/tools/go.mod
	go build -C internal/tools -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(TOOLS)/staticcheck: internal/tools/go.mod
	go build -C internal/tools -o $(CURDIR)/$@ honnef.co/go/tools/cmd/staticcheck

bench: ## the benchmarks of every package, then lodge-bench beside the bare limits
	go test -run '^$$' -bench . -benchmem ./...
	mkdir -p $(ARTIFACTS)
	go run ./cmd/lodge-bench verify --json $(ARTIFACTS)/verify.json
	go run ./cmd/lodge-bench stale --json $(ARTIFACTS)/stale.json
	go run ./cmd/lodge-bench stale --push off --json $(ARTIFACTS)/stale-push-off.json
	go run ./cmd/lodge-bench revoke --json $(ARTIFACTS)/revoke.json
	go run ./cmd/lodge-bench revoke --push off --json $(ARTIFACTS)/revoke-push-off.json

# One line for each soak, on the screen; all that was said is in .artifacts/soak.log.
# A longer look at the message log of one back end, here a hundred kills in some five minutes:
#   LODGE_SOAK=1 LODGE_SOAK_KILLS=100 go test ./internal/hubnode -v -timeout 1h -run 'TestRel01/jetstream'    (or redis, postgres)
SOAK := -p 1 -count=1 -v -run '^TestRel' ./...
FIGURES := tee -a $(ARTIFACTS)/soak.log | awk '/soak: /{sub(/^.*soak: /, "soak: ")} /^soak: |^FAIL|--- FAIL|^panic:/{print; fflush()}'

soak: setup ## the long tests of what is promised when things race and die, with their figures; an hour, at most 105 min
	mkdir -p $(ARTIFACTS) && : > $(ARTIFACTS)/soak.log
	LODGE_SOAK=1 timeout 75m go test -timeout 70m $(SOAK) 2>&1 | $(FIGURES)
	CGO_ENABLED=1 LODGE_SOAK=1 timeout 20m go test -race -timeout 18m $(SOAK) 2>&1 | $(FIGURES)
	timeout 5m go run ./cmd/lodge-bench revoke --json $(ARTIFACTS)/revoke.json | tee -a $(ARTIFACTS)/soak.log
	timeout 5m go run ./cmd/lodge-bench revoke --push off --json $(ARTIFACTS)/revoke-push-off.json | tee -a $(ARTIFACTS)/soak.log

clean: ## remove what was built and the demo's data
	rm -rf bin $(ARTIFACTS) .demo
