# What R says of the numbers in nbs/trust/13_intervals.ipynb and nbs/06_evaluation.ipynb. Needs pROC (Debian: r-cran-proc).
#     Rscript tests/reference.R
suppressMessages(library(pROC)); options(digits = 12)
i <- 0:59; y <- as.integer(i %% 5 < 3)
one <- round(y*.8 + sin(i*1.7) + .3*cos(i*.31), 1)
two <- y*.4 + .7*sin(i*1.7) + .9*cos(i*2.3)
a <- roc(y, one, direction = "<", quiet = TRUE); b <- roc(y, two, direction = "<", quiet = TRUE)
cat("pROC", as.character(packageVersion("pROC")), "\n")
cat("AUROC", auc(a), auc(b), " variance", var(a, method = "delong"), var(b, method = "delong"), "\n")
cat("interval", ci.auc(a, method = "delong"), "\n")
cat("paired DeLong test, p", roc.test(a, b, method = "delong", paired = TRUE)$p.value, "\n")
cat("McNemar exact, 13 against 4, p", binom.test(4, 17)$p.value, "\n")
cat("Wilson", prop.test(40, 50, correct = FALSE)$conf.int, prop.test(50, 50, correct = FALSE)$conf.int, "\n")
