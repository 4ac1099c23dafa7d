# The doors of this repository. Each sets itself up; `make` alone explains them.

python := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help demo run test check docs

help:
	@echo 'Rabbit Supervisor: worker processes that take jobs from RabbitMQ.'
	@echo
	@echo '  make demo    watch it work: real video downloaded, cut and previewed, a broken link,'
	@echo '               a killed worker; needs no broker, takes under a minute after set-up'
	@echo '  make run     start the supervisor with supervisor.yaml (needs RabbitMQ, see below)'
	@echo '  make check   lint, types, import contracts and unit tests; under two minutes'
	@echo '  make test    everything, against RabbitMQ 3.10 and 4.0 nodes of its own'
	@echo '  make docs    write again the pages that are made from code'
	@echo
	@echo 'Each target first makes what it needs: .venv from Python 3.11 or newer (another one:'
	@echo 'make PYTHON=/path/to/python demo) and, as root on Debian, packages such as ffmpeg.'
	@echo 'A RabbitMQ for `make run`: docker compose -f docker-compose.rabbitmq.yml up -d'
	@echo 'New here? README.md, then docs/tour.md.'

demo:
	@tools/venv
	@tools/provision ffmpeg
	@$(python) -m supervisor demo

run:
	@tools/venv
	@$(python) -m supervisor -c supervisor.yaml

check:
	@tools/venv test lint
	@tools/check
	@$(python) -m pytest tests/unit

test:
	@tools/venv test lint
	@tools/provision tests
	@tools/check
	@$(python) -m pytest -ra

docs:
	@tools/venv test lint
	@tools/docs
