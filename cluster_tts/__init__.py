"""cluster_tts: many documents in, finished audio out, at the full speed an account allows and never above it.

Read the package in the order in which the data goes:

    model        the words: Document, Chunk, Clip, Outcome
    errors       what goes wrong, named by what happens next
    job          every setting
    ranges       what it may be
    config/      where settings come from, in layers
    catalogue    what providers publish: limits, plans, models that end
    keys         API keys, in memory only
    documents/   find and read texts                    -> Paragraph
    balance      chunks that keep so many places busy to the same moment
    casting      who speaks with which voice
    cutting, chunking   at sentences, never over the limit -> Chunk
    timeline, pacing    what has a time: how long it may take, where it goes, how fast it is asked for
    context      what is read out around it
    prices, forecast   what speech costs and can cost, how long it takes: the quota, simulated
    workload     what a run has to do                   -> Plan
    drafting     a document read, voiced and cut, and its clips named
    planning     against what is there already
    missing      what a run has not made when it ends
    storage/     where files are kept: a disk, a bucket; scratch, for as long as a process lives
    lending, task_queue, refilling   what waits, what is lent, what is done, though the queue may die
    quota/       the account, as arithmetic: limits, what is learned of them, whose turn it is, what may be spent
    limiter/     the one gate in front of it; gates is a worker's side, state_file where limiters meet
    providers/   voices; http is the wire, answers what comes back over it means
    decoding, containers/, plausibility, checking   audio that is believed, and why
    staffing     how many workers, and how many clips each makes at once
    patience     how often and how soon again
    timeouts     how long an answer may take
    attempts     what is told of an attempt
    synthesis    one clip's way, and the only retries   -> Outcome
    worker       borrow, make so many at once, report
    storage/     where files are kept, behind the same few verbs
    clips        files named by what decides their sound
    manifest/    the record, in Parquet
    damage, sealed_json   what is done about files that are not what was written, and how that shows in JSON
    durability   what a power cut must not take back
    completion   which documents are whole
    claims, fencing   whose turn it is where two runs share an OUT; leave to write, and who has lost it
    joining      one document's joining as something that can be sent
    stretch, loudness   speech made faster at its own pitch; how loud it is
    resampling          the same at another rate
    media/       what PyAV does: Opus, audiobooks, sound tracks of videos
    stitching/   clips in order to one file a document, its items, its video
    report, columns, report_page   the record in numbers, a row or a million at a time; as a page
    gauge        how much of the quota a run used, and what there is to say of it
    reservations, spending   what may have been paid, however a run ends; what a budget leaves
    record       what is written while a run goes on
    assembly     from a plan to a document's joining, and to its row
    pipeline     the whole run over a crew; watching keeps an eye on its quota, progress is how it stands
    local        LocalCrew: one process
    cluster/     RayCrew: a pool of actors
    workspace    OUT as a place to work in
    commands, afterwards   what each command does: to speak; with what a run has left
    saved_job, endings     the job of a run, kept for later; how it ended
    api, cli, display, live   how people and programs call it, and what they see
    watched      a run with a person in front of it, and signals
    emulator/    local servers that answer as the providers do, to rehearse with
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster_tts.api import plan, plan_async, run, run_async, speak, speak_async

__all__ = ["plan", "plan_async", "run", "run_async", "speak", "speak_async"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The functions of ``api``, imported when first used: ``cluster-tts --help`` must not pay for them."""
    if name in __all__:
        from cluster_tts import api

        return getattr(api, name)
    raise AttributeError(f"module 'cluster_tts' has no attribute '{name}'")
