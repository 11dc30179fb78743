"""What the binaries count while they run, by name."""

from __future__ import annotations

from typing import Final

SYSTEM_WORDS: Final = (
    "transmit_overflows",
    "callback_queue_overloads",
    "dma_queue_overloads",
    "user_queue_overloads",
    "tick_overruns",
    "largest_tick_overrun",
)
"""The first words of every binary."""

NEURON_WORDS: Final = (
    *SYSTEM_WORDS,
    "last_tick",
    "slot_misses",
    "earliest_send",
    "latest_send",
    "synaptic_events",
    "ring_buffer_saturations",
    "plastic_saturations",
    "table_misses",
    "unread_bit_fields",
    "invalid_table_hits",
    "filtered_packets",
    "skipped_synapses",
    "late_spikes",
    "largest_lateness",
    "lost_packets",
    "dma_transfers",
    "rows_processed",
    "rewirings",
    "late_packets_dropped",
    "largest_input_buffer",
    "largest_background_queue",
    "background_overloads",
)
"""Words 0 to 27 of a core with neurons.

Ring buffers that overflow are counted as ``ring_buffer_saturations`` where the synapse is static and as ``plastic_saturations``
where it is plastic. ``late_spikes`` counts rows, and only of packets that are an odd number of ticks late: a quirk of the binaries, which
add the last bit of the lateness; ``largest_lateness`` is right. ``rows_processed`` counts a packet once for each projection.
"""

DELAY_WORDS: Final = (
    *SYSTEM_WORDS,
    "packets_received",
    "packets_processed",
    "packets_queued",
    "packets_sent",
    "lost_packets",
    "pauses",
    "count_saturations",
    "invalid_neurons",
    "invalid_keys",
    "late_spikes",
    "largest_background_queue",
    "background_overloads",
)
"""Words of a delay extension."""


def named(words: tuple[int, ...], is_delay: bool) -> dict[str, int]:
    """Return the words by name; those that have none here are called ``word_n``."""
    names = DELAY_WORDS if is_delay else NEURON_WORDS if len(words) == len(NEURON_WORDS) else SYSTEM_WORDS
    return {names[i] if i < len(names) else f"word_{i}": word for i, word in enumerate(words)}
