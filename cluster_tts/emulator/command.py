"""``cluster-tts emulate``: options to ``Settings``, and the server until it is told to stop.

At module level nothing but typer: ``--help`` of the whole program has to answer at once.
"""

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(metavar="PROVIDER", help="openai, elevenlabs, cartesia or replicate.")]
Host = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="Where to listen, as others reach it. Anybody there may ask.")
]
Port = Annotated[int, typer.Option("--port", metavar="N", help="0: any free one.")]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", metavar="KEY", help="Refuse all others. Without: any key will do, or none.")
]
Requests = Annotated[
    float | None, typer.Option("--requests-per-minute", metavar="N", help="0 refuses everything.")
]  # fmt: skip
Characters = Annotated[float | None, typer.Option("--characters-per-minute", metavar="N", help="0 refuses everything.")]
Concurrent = Annotated[
    int | None, typer.Option("--max-concurrent", metavar="N", help="Requests in flight; 0 refuses everything.")
]
Window = Annotated[
    float, typer.Option("--window", metavar="S", help="What is counted at once; limits hold for it in proportion.")
]
Count = Annotated[
    str,
    typer.Option(
        "--count",
        metavar="HOW",
        help="sliding (any window), fixed (anew with each) or bucket (filled evenly, up to --burst). At openai refused"
        " requests count too, as they do there.",
    ),
]
Burst = Annotated[
    int | None, typer.Option("--burst", metavar="N", help="Requests a bucket holds; without: a whole window's.")
]
BurstCharacters = Annotated[
    int | None, typer.Option("--burst-characters", metavar="N", help="Characters a bucket holds, likewise.")
]
Queue = Annotated[
    bool, typer.Option("--queue", help="Requests above --max-concurrent wait for their turn instead of being refused.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Tell nothing of limits and delays: neither in headers nor in refusals.")
]
Travel = Annotated[
    float, typer.Option("--travel", metavar="S", help="Each request arrives up to so much later, evenly spread.")
]
Polls = Annotated[
    float, typer.Option("--polls-per-minute", metavar="N", help="replicate: of all calls that create nothing.")
]
Credit = Annotated[
    int | None,
    typer.Option("--out-of-credit-after", metavar="N", help="Characters that can be paid for; no request goes beyond."),
]
CreditStatus = Annotated[
    int, typer.Option("--credit-status", metavar="STATUS", help="elevenlabs: quota_exceeded as 401 (seen) or 402.")
]
Plan = Annotated[
    str, typer.Option("--plan", metavar="NAME", help="elevenlabs: free, starter, creator, pro, ...: allows formats.")
]
SelfHosted = Annotated[
    bool, typer.Option("--self-hosted", help="openai: as servers made with FastAPI imitate it; any model and voice.")
]
Latency = Annotated[float, typer.Option("--latency", metavar="S", help="To the first byte.")]
PerCharacter = Annotated[
    float, typer.Option("--latency-per-character", metavar="S", help="On top, while the audio arrives.")
]
Jitter = Annotated[
    float,
    typer.Option(
        "--jitter",
        "--sigma",
        metavar="SIGMA",
        help="Spreads the latency, which stays the median, log-normally: 0.5 makes the mean 1.13 of it, 1 has a heavy"
        " tail. Drawn by number of arrival.",
    ),
]
Pace = Annotated[float, typer.Option("--characters-per-second", metavar="N", help="How fast the audio speaks.")]
Fault = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="NAME=RATE",
        help="Repeatable. Each status and code of the provider's errors (429, slow_down), busy; reset, hang (before the"
        " first byte); stall, cut, cut_length (in the middle); cut_quietly, empty, header_only, json, html,"
        " wrong_format (in a 200); replicate: failed, canceled, aborted, expired, processing, starting, list_output,"
        " data_output, object_output, file_404, poll_429. An unknown name lists all.",
    ),
]
RetryAfter = Annotated[
    int, typer.Option("--retry-after", metavar="S", help="What rate refusals drawn by --fault name, if they name any.")
]
Expire = Annotated[
    float, typer.Option("--expire-after", metavar="S", help="replicate: until outputs and files are deleted.")
]
Log = Annotated[int, typer.Option("--log", metavar="N", help="Keep the last N requests for GET /_emulator/log.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of faults, jitter and travelling times.")]


def emulate(
    provider: Name,
    host: Host = "127.0.0.1",
    port: Port = 0,
    api_key: ApiKey = None,
    requests_per_minute: Requests = None,
    characters_per_minute: Characters = None,
    max_concurrent: Concurrent = None,
    window: Window = 60.0,
    count: Count = "sliding",
    burst: Burst = None,
    burst_characters: BurstCharacters = None,
    queue: Queue = False,
    quiet: Quiet = False,
    polls_per_minute: Polls = 3000.0,
    out_of_credit_after: Credit = None,
    credit_status: CreditStatus = 401,
    plan: Plan = "pro",
    self_hosted: SelfHosted = False,
    travel: Travel = 0.0,
    latency: Latency = 0.0,
    latency_per_character: PerCharacter = 0.0,
    jitter: Jitter = 0.0,
    characters_per_second: Pace = 15.0,
    fault: Fault = None,
    retry_after: RetryAfter = 1,
    expire_after: Expire = 3600.0,
    log: Log = 0,
    seed: Seed = 0,
) -> None:
    """Answer on this machine as a provider does, for nothing: the first line printed is the base URL.

    GET /_emulator/stats tells what happened, GET /_emulator/log the requests one by one, POST /_emulator/reset forgets
    both; POST /_emulator/limits with {"requests_per_minute": N, "characters_per_minute": N, "max_concurrent": N}, or
    some of them, changes limits in mid-run (null: no such limit). openai has no AAC here; cartesia has neither
    WebSocket nor infill.
    """
    import asyncio

    from cluster_tts.emulator.server import serve
    from cluster_tts.emulator.settings import Settings, read_rates

    settings = Settings(
        provider=provider,
        host=host,
        port=port,
        api_key=api_key,
        requests_per_minute=requests_per_minute,
        characters_per_minute=characters_per_minute,
        max_concurrent=max_concurrent,
        window_s=window,
        count=count,
        burst=burst,
        burst_characters=burst_characters,
        queue=queue,
        quiet=quiet,
        polls_per_minute=polls_per_minute,
        out_of_credit_after=out_of_credit_after,
        credit_status=credit_status,
        plan=plan,
        self_hosted=self_hosted,
        travel_s=travel,
        latency_s=latency,
        latency_per_character_s=latency_per_character,
        jitter=jitter,
        characters_per_second=characters_per_second,
        faults=read_rates(fault or []),
        retry_after_s=retry_after,
        expire_after_s=expire_after,
        log=log,
        seed=seed,
    )
    asyncio.run(serve(settings))
