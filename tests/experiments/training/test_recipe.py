"""Recipes: what a card tells of one."""

from dataclasses import asdict

from experiments.training.recipe import RECIPES, Replays, Stage


def test_a_card_tells_its_recipe_and_an_older_one_that_of_the_defaults():
    plain, gated = RECIPES["wall_single", "flat"], RECIPES["push_t", "flat"]
    for recipe in (plain, gated):
        assert recipe.is_told_by(recipe.to_json())
    older = {
        recipe: {
            name: value
            for name, value in recipe.to_json().items()
            if name not in ("predictor_block", "first_predictor")
        }
        for recipe in (plain, gated)
    }
    assert plain.is_told_by(older[plain])
    assert not gated.is_told_by(older[gated])  # which had neither
    assert not plain.is_told_by(plain.to_json() | {"slowness": 0.0})
    assert not plain.is_told_by(plain.to_json() | {"unknown": 1})


def test_what_robust_models_alone_depend_on_is_no_part_of_an_offline_model():
    recipe = RECIPES["point_maze_long", "flat"]
    told = recipe.to_json()
    robust = {
        "robust_predictor": asdict(Stage(7, 8, 1e-3)),
        "state_noise": 7.0,
        "replays": asdict(Replays(7)),
    }
    assert all(told[name] != value for name, value in robust.items())
    assert recipe.is_told_by(told | robust)
    assert recipe.is_told_by({name: value for name, value in told.items() if name not in robust})
    assert not recipe.is_told_by(told | {"predictor": robust["robust_predictor"]})


def test_older_cards_said_how_flat_latents_were_made():
    recipe = RECIPES["wall_single", "flat"]
    assert recipe.is_told_by(recipe.to_json() | {"features": "learned"})
    assert not recipe.is_told_by(recipe.to_json() | {"features": "colours"})
