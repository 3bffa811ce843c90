"""What Covalent has and we have not is an error that says what there is."""

import covalent as ct

WORDS = {
    "ct.leptons.bash": "inside an electron, with ctypes or subprocess",
    "ct.Lepton('C', 'lib.so', 'f')": "inside an electron",
    "ct.fs.TransferFromS3('s3://x')": "ct.File(path)",
    "ct.fs_strategies.Rsync()": "ct.File(path)",
    "ct.triggers.TimeTrigger(5)": "once=True",
    "ct.stop_triggers('x')": "once=True",
    "ct.qelectron(print)": "run circuits inside plain electrons",
    "ct.sync('x')": "ct.get_result(dispatch_id, wait=True)",
    "ct.electron(print).metadata": "f.options(executor=...)",
    "ct.lattice(results_dir='x')": "ct.get_result has them",
    "ct.sublattice": "ct.electron(ct.lattice(f))",
    "ct.electorn": "did you mean 'electron'?",
    "ct.executor.SlurmExecutor(username='me')": "dask_jobqueue.SLURMCluster",
    "ct.executor.SSHExecutor(username='me', hostname='host')": "SSHCluster",
    "ct.executor.AWSBatchExecutor()": "derive from ct.executor.BaseExecutor",
    "ct.electron(files=['x'])(print)": "ct.File(path)",
    "ct.dispatch(ct.lattice(ct.electron(lambda: 1, executor='slurm')))()": "dask_jobqueue.SLURMCluster",
    "ct.get_config('executors.local')": "there is no setting 'executors.local'",
    "__import__('covalent.triggers')": "no module covalent.triggers: let cron",
    "__import__('covalent._results_manager.results_manager')": "ct.get_result, ct.cancel, ct.Result",
}

for code, words in WORDS.items():
    try:
        eval(code)
    except (AttributeError, ct.ConfigError, ModuleNotFoundError) as error:
        assert words in str(error), f"{code}: {error}"
    else:
        raise AssertionError(f"{code}: no error")
assert not hasattr(ct, "leptons") and not hasattr(ct.executor, "SlurmExecutor")
