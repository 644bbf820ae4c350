# A thin face of dev.py, which needs no make: `python3 dev.py help` lists the same commands.
# Arguments: make demo ARGS="--help"; another interpreter: make test PYTHON=python3.13

PYTHON ?= python3
COMMANDS = demo test setup lint types layers format requirements docs bench soak lock clean help
.DEFAULT_GOAL := help
.PHONY: $(COMMANDS)

$(COMMANDS):
	@$(PYTHON) dev.py $@ $(ARGS)
