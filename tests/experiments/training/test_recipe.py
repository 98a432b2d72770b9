"""Recipes: what a card tells of one."""

from experiments.training.recipe import RECIPES


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
