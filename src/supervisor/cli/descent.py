"""What is said of the jobs that came of one, when that one is steered."""

from supervisor.core.records import Chain, JobRecord, JobState


def came_of_it(chain: Chain) -> int:
    """Return how many jobs came of one and are still there."""
    return max(0, sum(chain.states.values()) - _count(chain, JobState.REMOVED) - 1)


def what_goes(jobs: int, below: int) -> str:
    """Return what it is that would be removed."""
    those = _jobs(jobs)
    if below:
        those = f"{those} and the {below:,} that came of {'it' if jobs == 1 else 'them'}"
    return f"remove {those} for good"


def removal_words(job: JobRecord, before: Chain) -> str:
    """Return what became of those that came of a job that was to be removed."""
    below = came_of_it(before)
    if not below:
        return ""
    if job.state is not JobState.REMOVED:
        return f" still: it and the {below:,} that came of it are being removed"
    return f", with the {_jobs(below)} that came of it"


def cancelled_words(before: Chain, after: Chain) -> str:
    """Return what became of those that came of a completed job when they were cancelled."""
    cancelled = _count(after, JobState.CANCELLED) - _count(before, JobState.CANCELLED)
    left = sum(number for state, number in after.states.items() if not state.is_final)
    if cancelled <= 0 and not left:
        return "; nothing that came of it was left to cancel"
    words = f"; {_jobs(max(0, cancelled))} that came of it {_are(cancelled)} cancelled"
    return f"{words}, {left:,} {_are(left)} being cancelled still" if left else words


def retry_hint(job_id: str, chain: Chain) -> str:
    """Return which jobs below one that cannot be retried itself can be; empty: none."""
    ends = (JobState.FAILED, JobState.CANCELLED)
    found = {end: _count(chain, end) for end in ends if _count(chain, end)}
    if not found or sum(chain.states.values()) == 1:
        return ""
    told = " and ".join(f"{number:,} {end.value}" for end, number in found.items())
    lists = " and ".join(f"jobs --root {job_id} --state {end.value}" for end in found)
    return f"; of what came of it can be retried: {told} (see {lists})"


def _count(chain: Chain, state: JobState) -> int:
    return chain.states.get(state, 0)


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number:,} jobs"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
