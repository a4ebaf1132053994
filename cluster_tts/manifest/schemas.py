"""The Arrow schemas of the manifest: one constant each, and nothing is written or read that differs from it."""

import pyarrow as pa

VERSION = "2"
_META = {"cluster_tts.schema_version": VERSION}

PLAN = pa.schema(
    [
        pa.field("document", pa.string(), nullable=False),
        pa.field("chunk_index", pa.int32(), nullable=False),
        pa.field("paragraph", pa.int32(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("heading", pa.bool_(), nullable=False),
        pa.field("speaker", pa.string()),
        pa.field("voice", pa.string()),
        pa.field("item", pa.string()),
        pa.field("speed", pa.float64(), nullable=False),
        pa.field("slot_start_s", pa.float64()),
        pa.field("slot_end_s", pa.float64()),
        pa.field("generation", pa.int32(), nullable=False),
        # Nested ones last: statistics of the others are found by their number.
        pa.field("turns", pa.list_(pa.struct([(name, pa.string()) for name in ("text", "voice", "speaker")]))),
        pa.field("cues", pa.list_(pa.float64())),  # start and end of each cue of the slot, where it has several
    ],
    metadata=_META,
)
OUTCOMES = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("document", pa.string(), nullable=False),
        pa.field("chunk_index", pa.int32(), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error_kind", pa.string()),
        pa.field("error_message", pa.string()),
        pa.field("http_status", pa.int32()),
        pa.field("request_id", pa.string()),
        pa.field("characters", pa.int32(), nullable=False),
        pa.field("speaker", pa.string()),
        pa.field("billed_characters", pa.int64()),
        pa.field("cost_usd", pa.float64()),
        pa.field("gate_wait_s", pa.float64(), nullable=False),
        pa.field("latency_s", pa.float64(), nullable=False),
        pa.field("frames", pa.int64()),
        pa.field("rate", pa.int32()),
        pa.field("size_bytes", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("worker", pa.string(), nullable=False),
        pa.field("node", pa.string(), nullable=False),
        pa.field("started_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("finished_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ],
    metadata=_META,
)
DOCUMENTS = pa.schema(
    [
        pa.field("document", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("duration_s", pa.float64()),
        pa.field("chunks", pa.int32(), nullable=False),
        pa.field("missing", pa.int32(), nullable=False),
        pa.field("characters", pa.int64(), nullable=False),
        pa.field("path", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("error", pa.string()),
        pa.field("video_source", pa.string()),  # the video that it is the sound of
        pa.field("video", pa.string()),  # the copy of it that has the sound, from OUT on
        pa.field("video_size_bytes", pa.int64()),
        pa.field("plan_key", pa.string()),
        pa.field("plan_digest", pa.string()),
        pa.field("join_key", pa.string()),
        pa.field("generation", pa.int32(), nullable=False),
    ],
    metadata=_META,
)
