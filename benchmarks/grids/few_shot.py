# Few training images: every twentieth, tenth and fourth. Rates are those that the sweeps of accuracy.py chose with all of
# them, so measure that grid first, with the same --out.
rates = dict(factors=[0.1, 0.3, 1.0, 3.0], held_out=0.2, of='method', variant='')
rates_of_all = dict(factors=[0.1, 0.3, 1.0, 3.0], held_out=0.2, variant='')
images = {
    'configs/segmentation/epfl_road/segformer_deit-t_est.py': 80,
    'configs/segmentation/dubai/segformer_deit-t_est.py': 351,
}
shares = {'5 % of the images': 20, '10 % of the images': 10, '25 % of the images': 4}
accuracy = [
    dict(
        configs=[config],
        tunings=[method],
        seeds=[0, 1, 2],
        sweep=rates_of_all if method == 'frozen' else rates,
        variant=share,
        options={'train_dataloader.dataset.indices': list(range(0, count, every))},
    )
    for config, count in images.items()
    for share, every in shares.items()
    for method in ('full', 'frozen', 'est', 'lora', 'mona')
]
