"""Which sampling interval a row has: what its record says, else the catalog, else the settings.

An interval is a fraction num / den: a counter is scaled by it.
"""

import numpy as np

from v6share.pipelines.kernels.flow_batch import I64, U32, Bool
from v6share.pipelines.kernels.jit import compiled


@compiled
def interval_of(
    num: int, den: int, pre_scaled: bool, declared: int, override: bool, unknown_interval: int
) -> tuple[int, int, bool]:
    """Decide one row: (num, den, error known); num 0: nobody knows it.

    num, den: what the record says, 0 where it says nothing. declared, override: the exporter's
    interval in the catalog, or 0, and whether it wins over the record's. pre_scaled: the counters
    are scaled already. unknown_interval: what the settings say for want of both, or 0.
    """
    if pre_scaled:
        return max(declared, 1), 1, declared > 0
    # An interval below 1 cannot be: as good as unknown.
    of_record = num >= max(den, 1)
    if declared > 0 and (override or not of_record):
        return declared, 1, True
    return (num, den, True) if of_record else (unknown_interval, 1, True)


@compiled
def sampling_intervals(
    exporters: U32,
    nums: I64,
    dens: I64,
    pre_scaled: Bool,
    declared: I64,
    override: Bool,
    unknown_interval: int,
) -> tuple[I64, I64, Bool]:
    """Give num, den and whether the error is known of each row, as ``interval_of``.

    Shapes (n,) of exporters; (n,) or (0,) of nums, dens and pre_scaled, where the record says
    nothing; declared and override are of each exporter. No dens in the result: they are 1; no
    known: it is known everywhere.
    """
    n = len(exporters)
    with_num, with_den, with_pre_scaled = len(nums) > 0, len(dens) > 0, len(pre_scaled) > 0
    out = np.empty(n, np.int64)
    out_dens = np.empty(n if with_den else 0, np.int64)
    known = np.empty(n if with_pre_scaled else 0, np.bool_)
    for i in range(n):
        exporter = exporters[i]
        num, den, error_known = interval_of(
            nums[i] if with_num else 0,
            dens[i] if with_den else 1,
            with_pre_scaled and pre_scaled[i],
            declared[exporter],
            override[exporter],
            unknown_interval,
        )
        out[i] = num
        if with_den:
            out_dens[i] = den
        if with_pre_scaled:
            known[i] = error_known
    return out, out_dens, known
