# Part of Inkstone. Licence: see LICENSE.
#
# make serve     install what is missing, build, and serve page and API with the embedded model
# make test      build and run the tests, those of Vulkan on a software GPU
# make test-gpu  run the tests of Vulkan on the graphics card of this machine
# make accept    long proofs that need Python with torch and diffusers
# make bench     speed of the engine on this machine, and of PyTorch and OpenVINO where they are
# make imgbench  build the load tester
# make fleet     install what is missing, build with the fleet, and run a queue, a gateway and a worker for a try
# make install   copy the programs and the embedded model to PREFIX (/usr/local)
# make package   archive, Debian package and container image in .build/packages
# make format    format the sources

SHELL := /bin/bash
PREFIX ?= /usr/local
SERVE_FLAGS ?=
FLEET_FLAGS ?=
PROGRAM := .build/release/inkstone

.PHONY: serve build imgbench fleet build-fleet test test-gpu accept evaluate-model bench bench-avx2 install package format lint \
    dependencies clean

serve: build
	$(PROGRAM) serve $(SERVE_FLAGS)

build: dependencies
	@Scripts/announce-build .build
	swift build -c release --product inkstone

imgbench: dependencies
	@Scripts/announce-build .build
	swift build -c release --product imgbench

fleet: build-fleet
	Scripts/try-fleet $(FLEET_FLAGS)

# A build of its own, so that `make build` does not need the client library of NATS.
build-fleet:
	@Scripts/install-dependencies --fleet
	@Scripts/announce-build .build-fleet
	swift build -c release --product inkstone --traits Fleet --scratch-path .build-fleet

test: dependencies
	@Scripts/announce-build .build-tests 640
	Scripts/run-tests

test-gpu: dependencies
	@Scripts/announce-build .build-tests 640
	Scripts/run-tests --gpu

accept: build imgbench
	Tests/parity/accept

# What the embedded model draws of 2,660 prompts; ten minutes. Needs the packages fonts-noto-color-emoji
# and unicode-cldr-core.
evaluate-model:
	$$(Scripts/reference-python) Training/evaluate.py Models/emoji-nano

# The peers are timed where Python has them; PYTHON names an interpreter that does.
PYTHON ?= python3
bench: build
	$(PROGRAM) benchmark kernels
	$(PROGRAM) benchmark block
	$(PROGRAM) benchmark block --tokens 4128
	$(PROGRAM) benchmark decoder --size 512 --random-weights z-image-turbo
	$(PROGRAM) benchmark text --random-weights z-image-turbo
	$(PROGRAM) benchmark image
	@if $(PYTHON) -c 'import torch, diffusers, transformers' 2>/dev/null; then \
	    for part in block decoder encoder; do \
	        $(PYTHON) Benchmarks/peers/time_peers.py $$part || exit 1; \
	    done; \
	    $(PYTHON) Benchmarks/peers/embedded_model.py || exit 1; \
	    $(PYTHON) -c 'import openvino, nncf' 2>/dev/null \
	        || echo "OpenVINO is not installed: its rows are left out"; \
	else \
	    echo "PyTorch and diffusers are not installed: peers are left out"; \
	fi

# Kernels, a block of real size and the embedded model beside the peers, all restricted to AVX2; seven minutes on a quiet machine.
bench-avx2: build
	$(PYTHON) Benchmarks/peers/compare_block.py --isa avx2 --kernels
	$(PYTHON) Benchmarks/peers/embedded_model.py --isa avx2 --settings 8:0

install: build imgbench
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/inkstone/models
	install -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/inkstone
	install -m 755 .build/release/imgbench $(DESTDIR)$(PREFIX)/bin/imgbench
	cp -R Models/emoji-nano $(DESTDIR)$(PREFIX)/share/inkstone/models/
	install -D -m 644 Tests/parity/reference_images.py $(DESTDIR)$(PREFIX)/share/inkstone/reference/reference_images.py

# Takes a build of its own, since what is linked differs.
package: dependencies
	@Scripts/announce-build .build-package
	Packaging/package

dependencies:
	@Scripts/install-dependencies

format:
	swift format --in-place --recursive Package.swift Sources Tests Examples
	Scripts/format-c

lint:
	swift format lint --strict --recursive Package.swift Sources Tests Examples
	Scripts/format-c --check

clean:
	rm -rf .build .build-tests .build-package .build-fleet .build-software-gpu
