// The part of the test bed that is ours: the standard library only, so that it builds in a second.
module example.invalid/unship/stack/bed

go 1.25.5
