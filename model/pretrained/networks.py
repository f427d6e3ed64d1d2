"""The networks of the Hugging Face hub that are encoders by name, a row each.

Adding one is adding a row to `NETWORKS`. A row says where the files are, how
pictures become the network's input, which output is the feature, and how words
are encoded if it understands them. docs/networks.md shows the table.
"""

from cbir.model.kind import Kind
from cbir.model.pretrained.hosted import Hosted, Network
from cbir.model.pretrained.hub import HubFile
from cbir.model.pretrained.towers import Words

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
_CLIP = {
    "size": (224, 224),
    "shortest": 224,
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "deviation": (0.26862954, 0.26130258, 0.27577711),
}
#: Of CLIP's text towers; what fills up is `<|endoftext|>`.
_CLIP_CONTEXT, _CLIP_PADDING = 77, 49407


def _tinyclip(path: str, sha256: str, size: int) -> HubFile:
    repository = "onnx-community/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M-ONNX"
    return HubFile(repository, "9463a9c508a344c837ffefe9d724f3827bf2dc79", path, sha256, size)


def _siglip2(path: str, sha256: str, size: int) -> HubFile:
    repository = "onnx-community/siglip2-base-patch16-224-ONNX"
    return HubFile(repository, "ba1f3b0843f24bc5417d38e19c37b287d719b2f4", path, sha256, size)


def _clip_text(path: str, sha256: str, size: int) -> HubFile:
    return HubFile("Qdrant/clip-ViT-B-32-text", "48ca1db27cb4063eb311ec2aa7f087a808112876", path, sha256, size)


_TINYCLIP = _tinyclip("onnx/model.onnx", "31d28cb07209533d10fc4fef73ac324ce17de6741a2372e7e1531a4ac8fdaeb2", 94_071_688)

#: None of these could be fetched where cbir is made: hashes and sizes are those that other projects pin.
NETWORKS = (
    Network(
        name="dinov2",
        summary="DINOv2 small, learned from pictures alone.",
        graph=HubFile(
            "onnx-community/dinov2-small-ONNX",
            "08c606e3123472a388efa59181b677d428f69bbd",
            "onnx/model.onnx",
            "6266c3cd72db6953cecdcbfeab9422a9f783d96f1a4e296ba70ffbac43b54a18",
            88_513_997,
        ),
        licence="Apache-2.0",
        values=384,
        options={"size": (224, 224), "shortest": 256, **_IMAGENET, "output": "last_hidden_state", "token": "cls"},
    ),
    Network(
        name="clip",
        summary="CLIP ViT-B/32, pictures and words; FastEmbed's vectors.",
        graph=HubFile(
            "Qdrant/clip-ViT-B-32-vision",
            "a636590e595dbbd798647c9dd4550d5652fba969",
            "model.onnx",
            "c68d3d9a200ddd2a8c8a5510b576d4c94d1ae383bf8b36dd8c084f94e1fb4d63",
            351_686_194,
        ),
        licence="MIT",
        values=512,
        options=_CLIP,
        words=Words(
            graph=_clip_text(
                "model.onnx", "4dbe762b11e36488304471e439cde89da053ad7acaddbf9e096745d142ec8d8b", 254_102_519
            ),
            tokenizer=_clip_text(
                "tokenizer.json", "b68d571997a1f81bf521fb73806740ddb91e4ed6666cb6e996c066bb289cf55b", 2_224_147
            ),
            context=_CLIP_CONTEXT,
            padding=_CLIP_PADDING,
        ),
    ),
    Network(
        name="siglip2",
        summary="SigLIP 2 base, pictures and words of many languages.",
        graph=_siglip2(
            "onnx/vision_model.onnx", "c0573e3f4140c3a7c4e9cc5912bd6b26a033b46a6a8e8af26cbea262b163bcad", 371_807_752
        ),
        licence="Apache-2.0",
        values=768,
        options={
            "size": (224, 224),
            "fit": "squash",
            "resample": "bilinear",
            "mean": (0.5,),
            "deviation": (0.5,),
            "output": "pooler_output",
        },
        words=Words(
            graph=_siglip2(
                "onnx/text_model.onnx",
                "baf12d941beabafafb14f7b4adb38dc15be18681b964a84410ec53d9d65e6293",
                1_129_469_657,
            ),
            tokenizer=_siglip2(
                "tokenizer.json", "cb9140fae3ac5122c972d37adf83e1248471a38147ad76f8215c8872c6fd8322", 34_363_039
            ),
            context=64,
            padding=0,
            lower=True,
            output="pooler_output",
        ),
    ),
    Network(
        name="tinyclip",
        summary="TinyCLIP ViT-8M/16, pictures and words; small and fast.",
        graph=_TINYCLIP,
        licence="MIT",
        values=512,
        options={**_CLIP, "output": "image_embeds"},
        words=Words(
            graph=_TINYCLIP,
            tokenizer=_tinyclip(
                "tokenizer.json", "6d9109cc838977f3ca94a379eec36aecc7c807e1785cd729660ca2fc0171fb35", 3_642_073
            ),
            context=_CLIP_CONTEXT,
            padding=_CLIP_PADDING,
            output="text_embeds",
            shared=True,
        ),
    ),
)


def kinds() -> list[Kind]:
    """Return what the registry lists, a kind a row."""
    return [
        Kind(
            network.name,
            network.summary,
            __name__,
            learns_from="nothing",
            words=network.words is not None,
            self_contained=False,
            download=network.graph.size,
            licence=network.licence,
        )
        for network in NETWORKS
    ]


def method_of(name: str) -> Hosted:
    """Return what an encoder's module would be, for the row of that name."""
    return next(Hosted(network) for network in NETWORKS if network.name == name)
