# What R says of the numbers in nbs/aims/24_readers.ipynb. Needs pROC and psych (Debian: r-cran-proc, r-cran-psych).
#     Rscript tests/reference_readers.R
# DeLong's covariances are pROC's; the analysis of Obuchowski and Rockette is written out in Hillis' mean squares
# (Statistics in Medicine 33, 2014, 330-360), which the notebook does not use; kappa is that of psych.
suppressMessages({library(pROC); library(psych)}); options(digits = 12)
i <- 0:59; y <- as.integer(i %% 5 < 3)
score <- function(t, j) round(y*(.5 + .2*j + .3*t) + sin(i*1.7) + .6*cos(i*(.31 + t)) + .5*sin(i*i*.7 + 2*j + t), 1)
curves <- list()
for (t in 0:1) for (j in 0:2) curves[[length(curves) + 1]] <- roc(y, score(t, j), direction = "<", quiet = TRUE)
auc <- matrix(sapply(curves, function(r) as.numeric(r$auc)), 3)                    # readers, modalities
S <- matrix(0, 6, 6)
for (a in 1:6) for (b in 1:6) S[a, b] <- if (a == b) pROC::var(curves[[a]]) else pROC::cov(curves[[a]], curves[[b]])
of <- rep(1:2, each = 3); reader <- rep(1:3, 2)
pick <- function(same_t, same_j) mean(S[outer(of, of, "==") == same_t & outer(reader, reader, "==") == same_j])
error <- pick(TRUE, TRUE); cov1 <- pick(FALSE, TRUE); cov2 <- pick(TRUE, FALSE); cov3 <- pick(FALSE, FALSE)
ms_t <- 3*sum((colMeans(auc) - mean(auc))^2)
ms_tr <- sum((auc - outer(rowMeans(auc), colMeans(auc), "+") + mean(auc))^2)/2
den <- ms_tr + 3*max(cov2 - cov3, 0); df <- den^2/(ms_tr^2/2)
d <- mean(auc[, 1]) - mean(auc[, 2]); se <- sqrt(2*den/3)
cat("pROC", as.character(packageVersion("pROC")), "psych", as.character(packageVersion("psych")), "\n")
cat("AUROC", auc, "\n")
cat("error, cov1, cov2, cov3", error, cov1, cov2, cov3, "\n")
cat("random readers: difference, se, df, p, interval", d, se, df, 1 - pf(ms_t/den, 1, df),
    d - qt(.975, df)*se, d + qt(.975, df)*se, "\n")
fixed <- sqrt(2/3*(error - cov1 + 2*(cov2 - cov3)))
cat("fixed readers: se, p", fixed, 2*pnorm(-abs(d)/fixed), "\n")
one <- auc[, 1]; own <- S[1:3, 1:3]; c2 <- mean(own[row(own) != col(own)]); ms_r <- var(one)
se <- sqrt((ms_r + 3*max(c2, 0))/3); df <- (ms_r + 3*max(c2, 0))^2/(ms_r^2/2)
cat("one modality: mean, se, df", mean(one), se, df, "\n")
truth <- i %% 3; a <- ifelse(i %% 7 < 5, truth, (truth + 1) %% 3); b <- ifelse(i %% 11 < 8, truth, (truth + i %% 2 + 1) %% 3)
k <- cohen.kappa(cbind(a, b))
cat("kappa, its variance", k$kappa, k$var.kappa, "\n")
