import numpy as np, warnings
warnings.simplefilter('ignore')
import neuromem as nm
from neuromem import models as M, cues
rng=np.random.default_rng(4)
for be in('reference','cpu'):
  for n,m in((23,9),(40,15)):
    X=rng.choice([-1,1],(m,n));S=rng.choice([-1,1],(6,n))
    for inter,power,rect in(('polynomial',2,False),('polynomial',3,False),('polynomial',3,True),('polynomial',4,True),('exponential',3,False)):
        F=(lambda o:np.exp(o)) if inter=='exponential' else (lambda o:(np.maximum(o,0.) if rect else o*1.)**power)
        s=nm.build(M.dense(n=n,interaction=inter,power=power,rectified=rect),backend=be);s.store(X)
        cur=S.copy();
        out=[]
        for c in cur:
            for t in range(100):
                o=X@c; f=np.array([(F(X[:,i]+o-X[:,i]*c[i])-F(-X[:,i]+o-X[:,i]*c[i])).sum() for i in range(n)])
                c2=np.where(abs(f)<1e-9*abs(f).max(),c,np.sign(f)).astype(int)
                if (c2==c).all():break
                c=c2
            out.append(c2)
        r=s.recall(S); 
        if not (r.answer==np.array(out)).all(): print('BAD dense',be,inter,power,rect,(r.answer!=np.array(out)).any(1).sum(), r.converged)
        e=s.energy(S); ee=-np.array([F((X@c).astype(float)).sum() for c in S])
        if not np.allclose(e,ee) and inter!='exponential' : print('BAD energy',be,inter,power,e,ee)
        if inter=='exponential': print('exp energy: got',e[:2],'doc -sum F(o) =',ee[:2])
    # outer
    d,v=10,7;K=rng.normal(size=(12,d));K/=np.linalg.norm(K,axis=1,keepdims=True);V=rng.normal(size=(12,v))/v**.5
    for loss in('dot','squared','huber','power','variance'):
      for ret in('keep','decay','oja'):
        for step in('plain','momentum','orthogonal'):
          for lim in(None,.2):
            if loss=='variance': s0=1
            s=nm.build(M.hetero(n=d,n_content=v,loss=loss,retention=ret,step=step,rate=.3,gamma=.9,momentum=.6,delta=.1,p=2.5,w_min=None if lim is None else -lim,w_max=lim),backend=be)
            s.store(K,V)
            W=np.zeros((v,d));Sm=np.zeros((v,d))
            for k,x in zip(K,V):
                y=W@k;e={'dot':x,'squared':x-y,'huber':np.clip(x-y,-.1,.1),'power':np.sign(x-y)*abs(x-y)**1.5,'variance':y}[loss]
                R=W*{'keep':1,'decay':.9}[ret] if ret!='oja' else W*(1-.3*e**2)[:,None]
                if step=='plain': D=.3*np.outer(e,k)
                elif step=='momentum': Sm=.6*Sm+.3*np.outer(e,k);D=Sm
                else:
                    nn=(W**2).sum(0);pr=np.divide(W.T@e,nn,out=np.zeros(d),where=nn>0);D=.3*k[None,:]*(e[:,None]-W*pr[None,:])
                W=R+D
                if lim: W=np.clip(W,-lim,lim)
            dd=abs(s.weights().T-W).max()
            if dd>2e-5: print('BAD outer',be,loss,ret,step,lim,dd)
    # sequence
    s=nm.build(M.sequence(n=60,k=5),backend=be);P=cues.random_active(12,60,5,rng);s.store(P)
    Z=np.zeros((12,60),int);np.put_along_axis(Z,P,1,1);W=((Z[:-1].T@Z[1:])>0)*1
    if not (s.weights()==W).all(): print('BAD seq w')
    q=s.recall_sequence(P[0],11);
    c=Z[0];ok=[]
    for t in range(11):
        h=c@W;th=np.sort(h)[-5];c=((h>=th)&(h>0)).astype(int);ok.append(c)
    if not (np.asarray(q)==np.array(ok)).all(): print('BAD seq recall')
    s=nm.build(M.sequence(n=60,k=5),backend=be);s.store(P[:6]);s.store(P[6:]);Z1=((Z[:5].T@Z[1:6]+Z[6:-1].T@Z[7:])>0)*1
    if not (s.weights()==Z1).all(): print('BAD seq two')
print('done')
