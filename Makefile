# The doors of this repository. Each sets itself up; `make` alone explains them.

python := .venv/bin/python
comma := ,
.DEFAULT_GOAL := help
.PHONY: help demo run test check docs chaos soak interruptions

help:
	@echo 'Rabbit Supervisor: worker processes that take jobs from RabbitMQ.'
	@echo
	@echo '  make demo    watch it work: real video downloaded, cut and previewed, a broken link,'
	@echo '               a killed worker; needs no broker, takes under a minute after set-up'
	@echo '  make run     start the supervisor with supervisor.yaml (needs RabbitMQ, see below)'
	@echo '  make check   lint, types, import contracts and unit tests; under two minutes'
	@echo '  make test    everything, against RabbitMQ 3.10 and 4.0 nodes of its own'
	@echo '  make chaos   mixed jobs under random faults, on RabbitMQ 3.10 and 4.0 and embedded, a line'
	@echo '               for each run; SEEDS=1,2,3 MINUTES=5 JOBS=3000 ON=3.10,4.0,embedded'
	@echo '  make soak    an hour of work and 200 kills, then: has anything grown? MINUTES=60 KILLS=200'
	@echo '               SEED=1 ON=3.10'
	@echo '  make interruptions'
	@echo '               jobs of each processor killed and cancelled at random instants, a hundred'
	@echo '               times; RUNS=100 SEED=1'
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
	@$(python) -m pytest -ra -n 2 --dist loadfile

chaos:
	@tools/venv test lint
	@tools/provision tests
	@$(python) -m tests.chaos --seeds '$(SEEDS)' --minutes $(or $(MINUTES),5) \
	  --jobs $(or $(JOBS),3000) --on $(or $(ON),3.10$(comma)4.0$(comma)embedded)

soak:
	@tools/venv test lint
	@tools/provision tests
	@$(python) -m tests.chaos.soak --minutes $(or $(MINUTES),60) --kills $(or $(KILLS),200) \
	  $(if $(SEED),--seed $(SEED)) --on $(or $(ON),3.10)

interruptions:
	@tools/venv test lint
	@tools/provision ffmpeg
	@$(python) -m tests.media.interruptions --runs $(or $(RUNS),100) $(if $(SEED),--seed $(SEED))

docs:
	@tools/venv test lint
	@tools/docs
