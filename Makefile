# Everything sets itself up: the first target that needs it makes .venv from Python 3.11 or later.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCKER ?= docker
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE ?= cluster-tts:$(VERSION)

.PHONY: demo test test-unit test-ray check bench bench-jobs bench-quota bench-ancestors chaos twins hosts million soak fuzz image \
	lock clean

demo: $(STAMP)          ## speak the sample documents on Ray with the embedded voice
	$(BIN)/cluster-tts run samples --out out/demo

test: $(STAMP)          ## all tests
	$(BIN)/pytest

test-unit: $(STAMP)     ## the ring that takes seconds
	$(BIN)/pytest tests/unit tests/test_layers.py

test-ray: $(STAMP)      ## the tests that start a small Ray
	$(BIN)/pytest -m ray

check: $(STAMP)         ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMP)         ## ratios measured within one run; takes minutes
	$(BIN)/python benchmarks/speaking.py
	$(BIN)/python benchmarks/planning.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/joining.py
	$(BIN)/python benchmarks/emulator.py
	$(BIN)/python benchmarks/sound.py
	$(BIN)/python benchmarks/encoding.py

bench-jobs: $(STAMP)    ## the jobs over their emulators, forty videos, four digests, ten subtitle files, checked from outside
	$(BIN)/python benchmarks/jobs.py
	$(BIN)/python benchmarks/videos.py
	$(BIN)/python benchmarks/digests.py
	$(BIN)/python benchmarks/dubbing.py

bench-quota: $(STAMP)   ## never refused, never idle, counted at the emulator; 25 minutes
	-$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'  # without the peer its rows say so
	$(BIN)/python benchmarks/quota.py

bench-ancestors: $(STAMP)  ## the five ancestors' own tables: theirs, the ideal, ours
	$(BIN)/python benchmarks/ancestors.py

chaos: $(STAMP)         ## kill anything, lose nothing, pay once: 40 runs, and eight on an S3 server; 30 minutes
	$(BIN)/python benchmarks/chaos.py; here=$$?; $(BIN)/python benchmarks/chaos.py --s3 && exit $$here

twins: $(STAMP)         ## two copies of a run on one OUT, the first stopped and woken; 4 minutes
	$(BIN)/python benchmarks/twins.py --engine local
	$(BIN)/python benchmarks/twins.py --engine ray

hosts: $(STAMP)         ## three hosts that share nothing but a network, one cut off in mid-run; 6 minutes
	$(BIN)/python benchmarks/hosts.py

million: $(STAMP)       ## a million finished chunks: time and memory to plan on, to read back, for status; 15 minutes
	$(BIN)/python benchmarks/million.py

soak: $(STAMP)          ## 20,000 chunks on Ray: nothing grows, twice the chunks take twice the time; 5 to 12 minutes
	$(BIN)/python benchmarks/soak.py

fuzz: $(STAMP)          ## 10,000 mutated inputs: no traceback, no hang, no write outside OUT; 5 to 10 minutes
	$(BIN)/python benchmarks/fuzz.py 2> /dev/null

$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: no '$(PYTHON)' here; give another by 'make PYTHON=python3.12 ...'"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

image:                  ## what every pod runs; make image IMAGE=registry.example/cluster-tts:0.1.0 names it
	$(DOCKER) build --file k8s/image/Dockerfile --tag $(IMAGE) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$(shell git rev-parse HEAD) .

lock:                   ## the versions of the packages in the image, found anew
	k8s/image/lock.sh $(PYTHON)

clean:                  ## forget the environment and what the demo left
	rm -rf $(VENV) out
