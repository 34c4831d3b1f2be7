module julee/action

go 1.25
