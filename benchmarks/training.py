"""Seconds an epoch of 20,000 images: ours, Keras's plain `fit`, a plain PyTorch loop.

`python -m benchmarks training`. The same network, batch size and optimizer.
Each runs in a process of its own, in turn; the first epoch (compiling) is left
out. PyTorch is measured if it is installed (`pip install --group bench`).
"""

import importlib.util
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.setting import last_json, mnist, show, timed

IMAGES, EPOCHS, ROUNDS = 20_000, 3, 3

OURS = """
import json, sys, time, numpy as np
from cbir.model.networks.autoencoder import article_autoencoder
from cbir.model.recipe import Recipe
from cbir.model.networks.training import train
images = np.load(sys.argv[1])
ends = []
def progress(stage, done, total, note=""):
    if done % (total // epochs) == 0:
        ends.append(time.perf_counter())
epochs = int(sys.argv[2]) + 1
train(article_autoencoder(0), images, Recipe(epochs=epochs), progress=progress)
print(json.dumps(np.diff(ends).tolist()))
"""

KERAS = """
import json, os, sys, time, numpy as np
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
keras.ops.zeros(1)  # TensorFlow keeps its own threads, not those that cbir would set
from cbir.model.networks.autoencoder import article_autoencoder
images = np.load(sys.argv[1]).astype(np.float32) / 255
noisy = np.clip(images + 0.5 * np.random.default_rng(0).standard_normal(images.shape, dtype=np.float32), 0, 1)
model = article_autoencoder(0)
model.compile(optimizer=keras.optimizers.Adadelta(1.0), loss="binary_crossentropy")
times = []
for _ in range(int(sys.argv[2]) + 1):
    start = time.perf_counter()
    model.fit(noisy, images, batch_size=128, verbose=0)
    times.append(time.perf_counter() - start)
print(json.dumps(times[1:]))
"""

TORCH = """
import json, sys, time, numpy as np, torch
from torch import nn
images = np.load(sys.argv[1]).astype(np.float32).transpose(0, 3, 1, 2) / 255
noisy = np.clip(images + 0.5 * np.random.default_rng(0).standard_normal(images.shape, dtype=np.float32), 0, 1)
last = dict(memory_format=torch.channels_last)
clean, noisy = torch.from_numpy(images).to(**last), torch.from_numpy(noisy).to(**last)
def conv(i, o, padding=1):
    return [nn.Conv2d(i, o, 3, padding=padding), nn.ReLU()]
up = lambda: nn.Upsample(scale_factor=2)
model = nn.Sequential(
    *conv(1, 16), nn.MaxPool2d(2), *conv(16, 8), nn.MaxPool2d(2), *conv(8, 8), nn.MaxPool2d(2, ceil_mode=True),
    *conv(8, 8), up(), *conv(8, 8), up(), *conv(8, 16, 0), up(), nn.Conv2d(16, 1, 3, padding=1), nn.Sigmoid(),
).to(**last)
optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
times = []
for _ in range(int(sys.argv[2]) + 1):
    start = time.perf_counter()
    for batch in torch.randperm(len(clean)).split(128):
        loss = nn.functional.binary_cross_entropy(model(noisy[batch]), clean[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    times.append(time.perf_counter() - start)
print(json.dumps(times[1:]))
"""

WAYS = {"cbir": OURS, "Keras `fit` on TensorFlow": KERAS, "PyTorch, channels-last": TORCH}


def main() -> None:
    """Print seconds an epoch and the ratio to ours."""
    source = mnist()
    ways = {n: c for n, c in WAYS.items() if n[:7] != "PyTorch" or importlib.util.find_spec("torch")}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        first = [np.asarray(item.open())[..., None] for item, _ in zip(source.items(), range(IMAGES), strict=False)]
        np.save(path, np.stack(first))
        for _ in range(ROUNDS):
            for name, code in ways.items():
                seconds[name] += last_json(
                    timed(["-c", code, str(path), str(EPOCHS)], PYTHONPATH=str(Path.cwd())).output
                )
    ours = median(seconds["cbir"])
    rows = [
        [name, f"{median(times):.2f}", f"{min(times):.2f} to {max(times):.2f}", f"{median(times) / ours:.2f}"]
        for name, times in seconds.items()
    ]
    rows += [[name, "not installed", "", ""] for name in WAYS if name not in ways]
    show(f"Training, {IMAGES:,} images an epoch", ["", "median s", "range", "of ours"], rows)


if __name__ == "__main__":
    main()
