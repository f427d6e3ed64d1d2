#!/bin/sh
# The main job on the bundled digits, as `make demo` runs it: no download, under a minute.
set -eu
: "${BIN:=.venv/bin}" "${OUT:=demo}"
# Its own home, whatever the user's is: it is emptied below.
CBIR_HOME=$OUT/home
export CBIR_HOME
unset QDRANT_URL
mkdir -p "$OUT"

step() {
    printf '\n$ cbir %s\n' "$*"
    "$BIN/cbir" "$@"
}

# A fresh demo each time: training is part of what it shows.
rm -rf "$CBIR_HOME"
step ingest digits
step search digits:queries/7 -k 5 --save "$OUT/strip.png"
step evaluate --collection digits
step denoise --save "$OUT/denoised.png"
cp "$CBIR_HOME"/runs/digits-*/curve.png "$OUT/curve.png"

printf '\nPictures: %s/strip.png (a query and its hits), %s/curve.png (score against depth),\n' "$OUT" "$OUT"
printf '%s/denoised.png (noisy over denoised). Go on with: CBIR_HOME=%s %s/cbir search YOUR.png\n' \
    "$OUT" "$CBIR_HOME" "$BIN"
