"""What dcurves says of the net benefit in nbs/aims/24_clinical.ipynb.

    python tests/reference_dcurves.py > nbs/aims/clinical_dcurves.csv

In an environment of its own (`pip install dcurves`, which holds pandas below 3), once; dcurves
1.1.7 wrote the committed table.
"""
import csv
import gzip
import io
import sys
from pathlib import Path

import pandas as pd
from dcurves import dca

KEPT = Path(__file__).parent.parent/"nbs/studies/predictions"
ASKED = dict(lgg=("patients-finetuned", "yes"), cheng=("patients-finetuned", "glioma"),
             brain_tumor_dataset=("near-duplicates-recommended", "yes"))
THRESHOLDS = [.05, .1, .2, .3, .5, .7, .9]

out = csv.writer(sys.stdout, lineterminator="\n")
out.writerow(["set", "table", "positive", "prevalence", "threshold", "model", "all"])
for name,(table,positive) in ASKED.items():
    text = gzip.decompress((KEPT/name/f"{table}.csv.gz").read_bytes()).decode()
    rows = pd.read_csv(io.StringIO(text))
    data = pd.DataFrame(dict(y=(rows.label == positive).astype(int),
                             p=rows[f"prob_{positive}"]))
    for prevalence in (None, .1):
        # a prevalence of its own needs outcomes of a case-control study, which dcurves weighs
        found = dca(data=data, outcome="y", modelnames=["p"], thresholds=THRESHOLDS,
                    prevalence=prevalence)
        model,every = (found[found.model == m].set_index("threshold").net_benefit
                       for m in ("p", "all"))
        for t in THRESHOLDS:
            out.writerow([name, table, positive, prevalence or "", t, f"{model[t]:.10f}",
                          f"{every[t]:.10f}"])
